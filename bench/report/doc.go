// Package report keeps what a run measured and shows it: a table for people in
// a terminal, markdown, JSON for machines, a page with charts, and the
// comparison of two runs.
//
// A figure's way: a scenario makes one [Round] of figures by metric key; a
// [Result] holds the rounds of one server; [Summarize] takes the median with
// min and max, and the per-round ratios to other servers, whose median and 95 %
// bootstrap interval are an [Interval]; tables and charts choose their columns from
// [Metrics].
package report
