package incluster

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"sharedpid.example/reports"
)

// decided is a run of one trait that was decided.
func decided() reports.Run {
	return reports.Run{
		SchemaVersion: reports.SchemaVersion, ID: "one", Profile: "core",
		Plan:    []reports.Planned{{Trait: "group/a", Target: "node"}},
		Results: []reports.Result{{Trait: "group/a", Target: "node", Verdict: reports.Conformant}},
	}
}

// TestTheResultOfAnInterruptedRunIsKept: the request has a time of its own.
func TestTheResultOfAnInterruptedRunIsKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		_, _ = response.Write([]byte(`{"kind": "ConfigMap", "apiVersion": "v1"}`))
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result, err := OpenResult(ctx, client, "team", "result")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := result.Keep(ctx, decided()); err != nil {
		t.Error(err)
	}
}

// TestTheResultIsKept: under way first, and then with the verdict and the reports.
func TestTheResultIsKept(t *testing.T) {
	ctx := t.Context()
	client := fake.NewClientset()
	result, err := OpenResult(ctx, client, "team", "result")
	if err != nil {
		t.Fatal(err)
	}
	read := func() *corev1.ConfigMap {
		found, err := client.CoreV1().ConfigMaps("team").Get(t.Context(), "result", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if before := read(); before.Data[VerdictKey] != underWay || len(before.BinaryData) > 0 {
		t.Errorf("before it is %v", before.Data)
	}
	leftOut, err := result.Keep(ctx, decided())
	if err != nil || len(leftOut) > 0 {
		t.Fatalf("left out are %q, %v", leftOut, err)
	}
	after := read()
	if after.Data[VerdictKey] != string(reports.Conformant) || after.Data[ExitCodeKey] != "0" || len(after.BinaryData[ReportsKey]) == 0 {
		t.Errorf("after it is %v", after.Data)
	}
}

// TestAResultThatCannotBeKeptIsToldBeforeTheRun, with what to do.
func TestAResultThatCannotBeKeptIsToldBeforeTheRun(t *testing.T) {
	resource := corev1.Resource("configmaps")
	for words, failure := range map[string]error{
		"apply what sharedpid job prints":                        apierrors.NewForbidden(resource, "result", errors.New("no right")),
		"there is no namespace team for the ConfigMap result":    apierrors.NewNotFound(corev1.Resource("namespaces"), "team"),
		"cannot be kept in the ConfigMap result of namespace te": apierrors.NewRequestEntityTooLargeError("limit is 3145728"),
	} {
		client := fake.NewClientset()
		client.PrependReactor("patch", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, failure })
		if _, err := OpenResult(t.Context(), client, "team", "result"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the error is %v, want %q", err, words)
		}
	}
}

// TestSonobuoyFindsTheResults where its worker looks for them.
func TestSonobuoyFindsTheResults(t *testing.T) {
	folder := t.TempDir()
	if err := WriteSonobuoyResults(folder, decided()); err != nil {
		t.Fatal(err)
	}
	named, err := os.ReadFile(filepath.Join(folder, "done"))
	if err != nil || !strings.HasPrefix(string(named), folder) || !strings.HasSuffix(string(named), ".tar.gz") {
		t.Errorf("the file done has %q, %v", named, err)
	}
	if content, err := os.ReadFile(string(named)); err != nil || len(content) == 0 {
		t.Errorf("the archive has %d bytes, %v", len(content), err)
	}
}

// TestNothingIsDoneInAFullVolume: without an archive there is no file done.
func TestNothingIsDoneInAFullVolume(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(folder, sonobuoyArchive)); err != nil {
		t.Fatal(err)
	}
	err := WriteSonobuoyResults(folder, decided())
	if err == nil || !strings.Contains(err.Error(), "no space left on device; give the volume of "+folder+" more room") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, sonobuoyDone)); err == nil {
		t.Error("it says that it is done")
	}
}
