package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
	"github.com/go-echarts/go-echarts/v2/render"
)

// script draws the charts. It is Apache ECharts, whose licence stands beside it.
//
//go:embed echarts/echarts.common.min.js
var script string

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// section is one scenario on the page.
type section struct {
	Name   string
	Note   string
	Head   []string
	Rows   []row
	Charts []template.HTML
}

// row is one server. Its note has a line of its own, since the table may be wider
// than the window.
type row struct {
	Cells []string
	Note  string
	Ours  bool
}

// pageRows are those of a table without its head, whose last cell is the note if the
// head has one.
func pageRows(table [][]string) (head []string, rows []row) {
	head = table[0]
	noted := head[len(head)-1] == "note"
	if noted {
		head = head[:len(head)-1]
	}
	for _, cells := range table[1:] {
		r := row{Cells: cells, Ours: cells[0] == Ours}
		if noted {
			r.Cells, r.Note = cells[:len(head)], cells[len(head)]
		}
		rows = append(rows, r)
	}
	return head, rows
}

// WriteHTML writes a page with tables and charts that needs nothing else: no
// network, no other file.
func (r *Report) WriteHTML(w io.Writer) error {
	var sections []section
	for _, name := range r.Scenarios() {
		s := section{Name: name}
		s.Head, s.Rows = pageRows(r.Table(name))
		if Headline(r.Of(name)) == Wall {
			s.Note = noCPU
		}
		for _, snippet := range r.charts(name, len(sections)) {
			// Made by go-echarts of numbers and plain names.
			s.Charts = append(s.Charts, template.HTML(snippet.Element+snippet.Script))
		}
		sections = append(sections, s)
	}
	return page.Execute(w, struct {
		*Report
		Script   template.JS
		Capacity string
		Called   string
		Sections []section
	}{r, template.JS(script), r.capacity(), strings.Join(r.Command, " "), sections})
}

// charts draws one scenario.
func (r *Report) charts(scenario string, index int) (all []render.ChartSnippet) {
	summaries, headline := r.Summaries(scenario), Headline(r.Of(scenario))
	id := func(name string) string { return fmt.Sprintf("s%d_%s", index, name) }
	for _, m := range columnsOf(summaries, headline) {
		if m.Chart || m.Key == headline {
			all = append(all, bars(id(m.Key), m, headline, summaries).RenderSnippet())
		}
	}
	if line := percentiles(id("latency"), summaries); line != nil {
		all = append(all, line.RenderSnippet())
	}
	return all
}

// brief is Format in few characters, for above a bar.
func (m Metric) brief(v float64) string {
	if text := m.Format(v); m.Unit != count || len(text) < 5 {
		return text
	}
	return fmt.Sprintf("%.0fk", v/1000)
}

// plain makes text of names: a chart shows them as markup.
var plain = strings.NewReplacer("<", "‹", ">", "›", "&", "+", `"`, "'")

// bars shows the medians of one metric. Above a bar of the headline is the ratio to
// the first base with its interval, above others the figure.
func bars(id string, m Metric, headline string, summaries []Summary) *charts.Bar {
	bar := charts.NewBar()
	subtitle := "less is better"
	if m.More {
		subtitle = "more is better"
	}
	scale := 1.0
	switch m.Unit {
	case nanos:
		scale, subtitle = 1e-6, "milliseconds, "+subtitle
	case octets:
		subtitle = "bytes, " + subtitle
	}
	var names []string
	var data []opts.BarData
	base := ""
	for _, s := range summaries {
		f, ok := s.Figures[m.Key]
		if !ok {
			continue
		}
		label := m.brief(f.Median)
		if m.Key == headline && len(s.Ratios) > 0 {
			label = strings.Replace(s.Ratios[0].String(), " ", "\n", 1)
			base = s.Ratios[0].To
		}
		name := plain.Replace(s.Server)
		names = append(names, name)
		data = append(data, opts.BarData{Name: name, Value: rounded(f.Median * scale),
			ItemStyle: &opts.ItemStyle{Color: color(s.Server)},
			Label:     &opts.Label{Show: opts.Bool(true), Position: "top", Formatter: label}})
	}
	width := "560px"
	if base != "" {
		subtitle += "; above the bars: ratio to " + plain.Replace(base)
		if len(names) > 6 {
			width = "1130px" // room for the intervals
		}
	}
	bar.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id, Width: width, Height: "320px"}),
		charts.WithTitleOpts(opts.Title{Title: m.Title, Subtitle: "median of the rounds, " + subtitle}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true)}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(false)}),
		charts.WithGridOpts(opts.Grid{ContainLabel: opts.Bool(true), Left: "2%", Right: "2%", Bottom: "2%"}),
		charts.WithXAxisOpts(opts.XAxis{AxisLabel: &opts.AxisLabel{Rotate: 30, Interval: "0"}}),
	)
	bar.SetXAxis(names).AddSeries(m.Title, data)
	return bar
}

const peerColor = "#4c78b8"

// lines tell peers apart where all are in one chart.
var lines = [...]string{"#4c78b8", "#2f9e44", "#ae3ec9", "#f1b80a", "#15aabf", "#e64980", "#7a4b1e", "#82c91e", "#5f3dc4", "#c2255c"}

// color tells the floor and fanloop from the peers.
func color(server string) string {
	switch server {
	case Floor:
		return "#9aa5b1"
	case Ours:
		return "#e8590c"
	case Plain:
		return "#ffc078"
	}
	return peerColor
}

// percentiles shows the latencies of all servers; nil if there are none.
func percentiles(id string, summaries []Summary) *charts.Line {
	keys := []string{"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"}
	line := charts.NewLine()
	line.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id, Width: "1130px", Height: "380px"}),
		charts.WithTitleOpts(opts.Title{Title: "latency", Subtitle: "median of the rounds, milliseconds, logarithmic"}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(true), Top: "bottom"}),
		charts.WithYAxisOpts(opts.YAxis{Type: "log"}),
	)
	line.SetXAxis([]string{"p50", "p90", "p99", "p99.9", "max"})
	peers := 0
	drawn := false
	for _, s := range summaries {
		var data []opts.LineData
		for _, key := range keys {
			if f, ok := s.Figures[key]; ok && f.Median > 0 {
				data = append(data, opts.LineData{Value: rounded(f.Median / 1e6)})
			}
		}
		if len(data) == len(keys) {
			c := color(s.Server)
			if c == peerColor {
				c = lines[peers%len(lines)]
				peers++
			}
			line.AddSeries(plain.Replace(s.Server), data,
				charts.WithItemStyleOpts(opts.ItemStyle{Color: c}), charts.WithLineStyleOpts(opts.LineStyle{Color: c}))
			drawn = true
		}
	}
	if !drawn {
		return nil
	}
	return line
}

// rounded keeps four digits.
func rounded(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
