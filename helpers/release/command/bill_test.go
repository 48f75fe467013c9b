package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestReproducible(t *testing.T) {
	bill := func(created, namespace, packages string) []byte {
		return fmt.Appendf(nil, `{"spdxVersion":"SPDX-2.3","documentNamespace":%q,"creationInfo":{"created":%q},"packages":[%s]}`, namespace, created, packages)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	first, err := reproducible(bill("2026-11-26T18:31:45Z", "https://anchore.com/1d777bce", "{},{}"), "sharedpid", [32]byte{1}, at)
	if err != nil {
		t.Fatal(err)
	}
	second, err := reproducible(bill("2027-11-26T18:31:45Z", "https://anchore.com/071c844b", "{},{}"), "sharedpid", [32]byte{1}, at)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%s differs from %s, %v", first, second, err)
	}
	for _, want := range []string{`"created": "2026-01-02T02:04:05Z"`, `"https://sharedpid.example/sbom/sharedpid-0100`, `"SPDX-2.3"`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s has no %s", first, want)
		}
	}
	for _, bad := range [][]byte{nil, []byte("[]"), bill("", "", ""), []byte(`{"packages":[1,2]}`)} {
		if _, err := reproducible(bad, "sharedpid", [32]byte{}, at); err == nil {
			t.Errorf("%q is a bill of materials", bad)
		}
	}
}
