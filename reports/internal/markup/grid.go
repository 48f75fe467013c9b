package markup

import (
	"fmt"
	"strings"

	"sharedpid.example/reports"
)

// Grid writes traits by columns, whose headings are Markdown; the words for what is not conformant stand in the cells.
func Grid(page *strings.Builder, headings []string, rows []reports.GridRow) {
	page.WriteString("| Trait |")
	for _, heading := range headings {
		fmt.Fprintf(page, " %s |", heading)
	}
	fmt.Fprintf(page, "\n|---|%s\n", strings.Repeat("---|", len(headings)))
	for _, row := range rows {
		fmt.Fprintf(page, "| %s |", Text(row.Trait))
		for _, verdict := range row.Verdicts {
			switch verdict {
			case "":
				page.WriteString("  |")
			case reports.Conformant:
				fmt.Fprintf(page, " %s |", Symbol(verdict))
			default:
				fmt.Fprintf(page, " %s %s |", Symbol(verdict), verdict)
			}
		}
		page.WriteByte('\n')
	}
}
