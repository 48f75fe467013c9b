package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// writeBill writes the bill of materials of a binary beside it, in SPDX.
func writeBill(ctx context.Context, binary string, from origin) error {
	found, err := output(ctx, filepath.Dir(binary), []string{"GOFLAGS=", "SYFT_CHECK_FOR_APP_UPDATE=false"},
		"go", "run", syft, "scan", "file:"+filepath.Base(binary), "--output=spdx-json", "--quiet",
		"--source-name="+filepath.Base(binary), "--source-version="+from.Version)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	bill, err := reproducible([]byte(found), filepath.Base(binary), sha256.Sum256(content), from.Time)
	if err != nil {
		return err
	}
	return os.WriteFile(binary+".spdx.json", bill, 0o644)
}

// reproducible is a bill of materials of a file with what differs from time to time replaced: when it was written, which becomes the time
// of the commit, and its random name, which becomes that of the file with its checksum.
func reproducible(bill []byte, name string, checksum [sha256.Size]byte, at time.Time) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(bill, &document); err != nil {
		return nil, fmt.Errorf("the bill of materials cannot be read: %w", err)
	}
	creation, found := document["creationInfo"].(map[string]any)
	if packages, _ := document["packages"].([]any); !found || len(packages) < 2 {
		return nil, fmt.Errorf("the bill of materials of %s names no packages", name)
	}
	creation["created"] = at.UTC().Format(time.RFC3339)
	document["documentNamespace"] = fmt.Sprintf("https://sharedpid.example/sbom/%s-%x", name, checksum)
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(document)
	return written.Bytes(), err
}
