package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// measurement is what one run of the command took.
type measurement struct {
	Selection       string           // of nodes and traits
	Nodes           int              // of the cluster
	Targets         int              // that were looked at
	Results         int              // of traits on them
	Seconds         float64          // from the command's start to its end
	MemoryBytes     int64            // the largest resident set
	Requests        int              // to the API
	MostInOneSecond int              // of them, in any second
	Cap             int              // of requests in a second, as the command was told
	FileBytes       map[string]int64 // of the reports, by name
}

// files are the reports whose size is told.
var files = []string{"run.json", "report.html", "junit.xml", "report.yaml"}

// Bounds of a run, whatever the size of the cluster.
const (
	memoryBound = 1 << 30
	htmlBound   = 15 << 20
	// noise is by how much more than linear a figure may grow, and more requests may arrive in a second than are sent in one: what is
	// measured once varies.
	noise = 1.25
)

// figures are the numbers of a measurement that may grow with the work, by name.
func (measured measurement) figures() []figure {
	figures := []figure{
		{"time", measured.Seconds}, {"memory", float64(measured.MemoryBytes)}, {"requests", float64(measured.Requests)},
	}
	for _, name := range files {
		figures = append(figures, figure{name, float64(measured.FileBytes[name])})
	}
	return figures
}

type figure struct {
	name  string
	value float64
}

// problems returns which bounds the measurements break. Those of one selection are held against the smallest one of it.
func problems(measurements []measurement) []string {
	var found []string
	smallest := map[string]measurement{}
	for _, each := range measurements {
		about := fmt.Sprintf("%s, %d nodes", each.Selection, each.Nodes)
		if each.MemoryBytes > memoryBound {
			found = append(found, fmt.Sprintf("%s: memory of %d MiB is more than %d MiB", about, each.MemoryBytes>>20, memoryBound>>20))
		}
		if html := each.FileBytes["report.html"]; html > htmlBound {
			found = append(found, fmt.Sprintf("%s: report.html of %.1f MB is more than %d MB", about, megabytes(html), htmlBound>>20))
		}
		if float64(each.MostInOneSecond) > noise*float64(each.Cap) {
			found = append(found, fmt.Sprintf("%s: %d requests arrived in one second, and %d may be sent", about, each.MostInOneSecond, each.Cap))
		}
		base, known := smallest[each.Selection]
		if !known {
			smallest[each.Selection] = each
			continue
		}
		for i, now := range each.figures() {
			before := base.figures()[i].value
			if grown := growth(base, each, before, now.value); grown > noise {
				found = append(found, fmt.Sprintf("%s: %s is %.2f times what linear growth from %d nodes gives", about, now.name, grown, base.Nodes))
			}
		}
	}
	return found
}

// growth is a figure beside what it were if it had grown as the number of nodes did.
func growth(base, now measurement, before, after float64) float64 {
	if before == 0 || base.Nodes == 0 {
		return 0
	}
	return after / before / (float64(now.Nodes) / float64(base.Nodes))
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

// table returns the measurements in Markdown.
func table(measurements []measurement) string {
	var text strings.Builder
	text.WriteString("| checked | nodes | targets | results | time | memory | requests | most in a second | cap |")
	for _, name := range files {
		text.WriteString(" " + name + " |")
	}
	text.WriteString("\n|" + strings.Repeat("---|", 9+len(files)) + "\n")
	smallest := map[string]measurement{}
	for _, each := range measurements {
		base, known := smallest[each.Selection]
		if !known {
			base, smallest[each.Selection] = each, each
		}
		grown := func(shown string, before, after float64) string {
			if base.Nodes == each.Nodes {
				return shown
			}
			return fmt.Sprintf("%s (%.2f)", shown, growth(base, each, before, after))
		}
		fmt.Fprintf(&text, "| %s | %d | %d | %d | %s | %s | %s | %d | %d |", each.Selection, each.Nodes, each.Targets, each.Results,
			grown((time.Duration(each.Seconds)*time.Second).String(), base.Seconds, each.Seconds),
			grown(fmt.Sprintf("%d MiB", each.MemoryBytes>>20), float64(base.MemoryBytes), float64(each.MemoryBytes)),
			grown(fmt.Sprint(each.Requests), float64(base.Requests), float64(each.Requests)), each.MostInOneSecond, each.Cap)
		for _, name := range files {
			size, before := each.FileBytes[name], base.FileBytes[name]
			fmt.Fprintf(&text, " %s |", grown(fmt.Sprintf("%.2f MB", megabytes(size)), float64(before), float64(size)))
		}
		text.WriteString("\n")
	}
	return text.String()
}

// readRequests returns how many requests an audit log has, and the most that came within one second.
func readRequests(log io.Reader) (requests, most int, err error) {
	var recent []time.Time // those of the last second
	lines := bufio.NewScanner(log)
	const longest = 4 << 20
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var event struct {
			RequestReceivedTimestamp metav1.MicroTime `json:"requestReceivedTimestamp"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return 0, 0, fmt.Errorf("audit log: %w", err)
		}
		requests++
		now := event.RequestReceivedTimestamp.Time
		recent = append(recent, now)
		for len(recent) > 0 && now.Sub(recent[0]) >= time.Second {
			recent = recent[1:]
		}
		most = max(most, len(recent))
	}
	return requests, most, lines.Err()
}

// fileSizes returns the sizes of the reports in a directory.
func fileSizes(directory string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, name := range files {
		found, err := os.Stat(filepath.Join(directory, name))
		if err != nil {
			return nil, err
		}
		sizes[name] = found.Size()
	}
	return sizes, nil
}
