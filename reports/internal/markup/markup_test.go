package markup

import "testing"

func TestTextIsNoMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"a|b\n# c":              `a&#124;b \# c`,
		"<b>&amp;":              `&lt;b&gt;&amp;amp;`,
		"[x](http://e.example)": `\[x\](http\://e.example)`,
		"`x` *y* __z__ $1$":     "\\`x\\` \\*y\\* \\_\\_z\\_\\_ \\$1\\$",
		"\x1b[31m\u202e":        `\\x1b\[31m\\u202e`,
	} {
		if got := Text(text); got != want {
			t.Errorf("Text(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestLinkLeadsToTheWebOrNowhere(t *testing.T) {
	for address, want := range map[string]string{
		"https://e.example/a?b=c#d":           "<https://e.example/a?b=c#d>",
		"http://e.example":                    "<http://e.example>",
		"https://e.example/> <script>x":       "<https://e.example/%3E%20%3Cscript%3Ex>",
		"https://e.example/\u202e|\\":         "<https://e.example/%E2%80%AE%7C%5C>",
		"javascript:alert(1)":                 "javascript:alert(1)",
		"https:nowhere":                       "https:nowhere",
		"ftp://e.example/<b>":                 `ftp\://e.example/&lt;b&gt;`,
		"https://e.example/\x00\n> # heading": `https\://e.example/\\x00 &gt; \# heading`,
		"":                                    "",
	} {
		if got := Link(address); got != want {
			t.Errorf("Link(%q) = %s, want %s", address, got, want)
		}
	}
}
