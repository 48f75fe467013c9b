package suite

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// keptOutput is what a command printed, as a run keeps it: short text as it is; what is long, or no text, compressed.
// A snapshot of all processes is a tenth of its size then.
type keptOutput string

const (
	// shortOutput is up to how many bytes text is kept as it is.
	shortOutput = 512
	// longestOutput is how many bytes compressed output may have when it is read again: a file may be anybody's.
	longestOutput = 64 << 20
)

// compressed is the JSON form of output that is long or no text.
type compressed struct {
	Gzip []byte `json:"gzip"`
}

// MarshalJSON returns a string, or an object with the compressed output in base64.
func (output keptOutput) MarshalJSON() ([]byte, error) {
	if len(output) <= shortOutput && utf8.ValidString(string(output)) {
		return json.Marshal(string(output))
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := io.WriteString(writer, string(output)); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(compressed{packed.Bytes()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (output *keptOutput) UnmarshalJSON(content []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte(`"`)) {
		return json.Unmarshal(content, (*string)(output))
	}
	var packed compressed
	if err := json.Unmarshal(content, &packed); err != nil {
		return err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed.Gzip))
	if err != nil {
		return err
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, longestOutput+1))
	if err != nil {
		return err
	}
	if len(unpacked) > longestOutput {
		return fmt.Errorf("the output has more than %d MiB", longestOutput>>20)
	}
	*output = keptOutput(unpacked)
	return nil
}
