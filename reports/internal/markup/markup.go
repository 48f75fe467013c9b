// Package markup writes text of any origin into GitHub's dialect of Markdown, so that none of it becomes markup.
package markup

import (
	"fmt"
	"net/url"
	"strings"

	"sharedpid.example/reports"
	"sharedpid.example/reports/internal/legible"
)

const (
	// Cell is how many characters of a text stand in a cell of a table, which is no place for a log.
	Cell = 300
	// Sentence is how many characters stand in a line of a list.
	Sentence = 1200
)

// symbols let an eye find the rows that matter; the word stands beside them.
var symbols = map[reports.Verdict]string{
	reports.Conformant: "✅", reports.Nonconformant: "❌", reports.Inconclusive: "⚠️", reports.Unsupported: "➖", reports.NotRun: "⏳",
	reports.KnownDeviation: "☑️", reports.Resolved: "❌",
}

// Symbol is the picture that stands before a verdict, empty for what is none.
func Symbol(verdict reports.Verdict) string { return symbols[verdict] }

// Text is one line of text in which nothing is markup: no emphasis, no link, not even a bare address, no HTML, no
// new cell of a table.
func Text(text string) string { return escapes.Replace(legible.Line(text)) }

var escapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", "&#124;", "~", `\~`, "#", `\#`, "!", `\!`, "$", `\$`, "://", `\://`, "www.", `www\.`, "@", "&#64;",
)

// Short is Text of at most limit characters.
func Short(text string, limit int) string { return Text(legible.Shorten(legible.Line(text), limit)) }

// Link makes an address of the web a link, and shows everything else as Text.
func Link(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Host == "" {
		return Text(address)
	}
	var link strings.Builder
	for i := range len(address) {
		// Whatever could end the link, or is not to stand in an address, is spelled by its number.
		if char := address[i]; char <= ' ' || char >= 0x7f || strings.IndexByte("<>\"\\^`{|}", char) >= 0 {
			fmt.Fprintf(&link, "%%%02X", char)
		} else {
			link.WriteByte(char)
		}
	}
	return "<" + link.String() + ">"
}

// Row writes the rest of a row of a table, each text as a cell of limited length.
func Row(page *strings.Builder, cells ...string) {
	for _, cell := range cells {
		fmt.Fprintf(page, "| %s ", Short(cell, Cell))
	}
	page.WriteString("|\n")
}

// Fold writes evidence, which is text that is legible already, as a block of code that a reader unfolds. It writes nothing
// for empty text.
func Fold(page *strings.Builder, text string) {
	if text == "" {
		return
	}
	text = strings.TrimRight(text, "\n")
	fence := fence(text)
	fmt.Fprintf(page, "\n<details><summary>Evidence</summary>\n\n%stext\n%s\n%s\n\n</details>\n", fence, text, fence)
}

// fence is longer than every run of backticks in the text, so that no content ends the block.
func fence(text string) string {
	longest, run := 2, 0
	for _, char := range text {
		if char != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}
