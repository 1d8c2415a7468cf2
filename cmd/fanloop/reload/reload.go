// Package reload has the script that brings a page back when a part of it did not arrive.
package reload

import _ "embed"

// Script is served beside the page, whose head begins with it: <script src="reload.js">. It
// loads the page again when a script or a style sheet of it fails to load: within a second,
// and after 30 s at most when that goes on. Do not change it.
//
//go:embed reload.js
var Script []byte
