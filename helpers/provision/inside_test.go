package provision

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

const serviceHost = "KUBERNETES_SERVICE_HOST"

// TestAPodOutsideOfACheckoutTakesItsCluster, and a CI job in a checkout does not.
func TestAPodOutsideOfACheckoutTakesItsCluster(t *testing.T) {
	t.Setenv(serviceHost, "10.96.0.1")
	if Inside() {
		t.Error("a checkout is taken for none")
	}
	t.Chdir(t.TempDir())
	if !Inside() {
		t.Error("a Pod is taken for none")
	}
	t.Setenv(serviceHost, "")
	if Inside() {
		t.Error("no Pod is taken for one")
	}
}

func TestInsideIsRefusedWhereItCannotBe(t *testing.T) {
	t.Setenv(serviceHost, "")
	for words, options := range map[string]Options{
		"this is a Pod without a service account's token":                                      {Inside: true},
		"--keep is about a cluster that is created, and outside of a checkout a Pod takes the": {Inside: true, Keep: true},
		"--engine is about a cluster that is created":                                          {Inside: true, Engine: "podman"},
	} {
		if err := options.Validate(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the error is %v, want %q", err, words)
		}
	}
}

// TestCredentialsThatAreNotAccepted are told from an API that does not answer.
func TestCredentialsThatAreNotAccepted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		response.WriteHeader(http.StatusUnauthorized)
		_, _ = response.Write([]byte(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}`))
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("expired"), 0o600); err != nil {
		t.Fatal(err)
	}
	for words, configuration := range map[string]*rest.Config{
		"does not accept the token in " + token + ": it has expired": {Host: server.URL, BearerTokenFile: token},
		"does not accept the kubeconfig's credentials":               {Host: server.URL},
		"refused; check that Pods reach the Service kubernetes":      {Host: "http://127.0.0.1:1", BearerTokenFile: token},
	} {
		if _, err := Version(t.Context(), configuration); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the error is %v, want %q", err, words)
		}
	}
}
