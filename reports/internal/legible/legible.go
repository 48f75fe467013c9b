// Package legible makes text of any origin, and lengths and points of time, fit to be read by people.
package legible

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Text makes text of any origin safe to show: what is neither printable nor a line break or tab
// becomes a visible escape such as \x00 or \u202e. What is left has no character that XML 1.0 forbids,
// no byte that is not UTF-8, and nothing that moves a terminal's cursor or reverses a line. Escaping
// rather than dropping keeps what separates the entries of an environ file visible.
func Text(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.IndexFunc(text, isUnprintable) < 0 {
		return text
	}
	var clean strings.Builder
	clean.Grow(len(text))
	for len(text) > 0 {
		char, size := utf8.DecodeRuneInString(text)
		switch {
		case char == utf8.RuneError && size == 1, char == 0: // what there may be megabytes of
			const digits = "0123456789abcdef"
			clean.Write([]byte{'\\', 'x', digits[text[0]>>4], digits[text[0]&0xf]})
		case char == utf8.RuneError:
			clean.WriteRune(char)
		case !isUnprintable(char):
			clean.WriteRune(char)
		default:
			quoted := strconv.QuoteRune(char)
			clean.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return clean.String()
}

// isUnprintable also holds for the replacement character, which may stand for a byte that is not UTF-8.
func isUnprintable(char rune) bool {
	if char < utf8.RuneSelf {
		return (char < ' ' || char == 0x7f) && char != '\n' && char != '\t'
	}
	return char == utf8.RuneError || !strconv.IsPrint(char)
}

// Line is Text with every run of white space made one space.
func Line(text string) string { return strings.Join(strings.Fields(Text(text)), " ") }

// Shorten cuts text to at most limit characters and shows that it did.
func Shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:limit-1]), " ") + "…"
}

// Cut is the beginning of text, at most limit bytes and no half character.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// List names the first few, each as a Line, and counts the others.
func List(names []string, shown int) string {
	var list []string
	for i, name := range names {
		if i == shown {
			return fmt.Sprintf("%s and %d more", strings.Join(list, ", "), len(names)-shown)
		}
		list = append(list, Line(name))
	}
	return strings.Join(list, ", ")
}

// Seconds writes a length of time in seconds as a plain decimal with three digits; what is no length is 0.
func Seconds(length float64) string {
	if math.IsNaN(length) || math.IsInf(length, 0) || length < 0 {
		length = 0
	}
	return strconv.FormatFloat(length, 'f', 3, 64)
}

// Duration writes a length of time in seconds for people: "1.5 s", "2 min 03 s".
func Duration(length float64) string {
	whole, err := time.ParseDuration(Seconds(length) + "s")
	if err != nil { // longer than a duration can be
		return Seconds(length) + " s"
	}
	if whole < time.Minute {
		return strconv.FormatFloat(whole.Seconds(), 'f', 1, 64) + " s"
	}
	return fmt.Sprintf("%d min %02d s", int(whole.Minutes()), int(whole.Seconds())%60)
}

// Timestamp is a point of time in RFC 3339 and UTC, empty for the zero time.
func Timestamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
