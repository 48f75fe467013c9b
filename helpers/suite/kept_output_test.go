package suite

import (
	"encoding/json"
	"testing"
)

// FuzzKeptOutput keeps output of any kind, and reads what anybody may have kept.
func FuzzKeptOutput(f *testing.F) {
	f.Add("text", []byte(`{"gzip": "H4sIAAAAAAAA/w=="}`))
	f.Add("\x00\x1b\xff", []byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, output string, kept []byte) {
		encoded, err := json.Marshal(keptOutput(output))
		if err != nil {
			t.Fatal(err)
		}
		var back keptOutput
		if err := json.Unmarshal(encoded, &back); err != nil || string(back) != output {
			t.Errorf("%q is kept as %s and read as %q, %v", output, encoded, back, err)
		}
		_ = json.Unmarshal(kept, &back)
		if len(back) > longestOutput {
			t.Errorf("%d bytes were read", len(back))
		}
	})
}
