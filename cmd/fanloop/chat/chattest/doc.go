// Package chattest is what the tests of the page and of the JavaScript client share: a
// node of the chat, a proxy in front of it that breaks connections, scripts in Chromium
// or Node, and the oracle, which compares what they show with what is stored.
//
//	node.go     Node: a node of the chat, in this process or in one that can be killed
//	speaker.go  what others say, and what is stored, by the protocol itself
//	proxy.go    Proxy: TCP connections that are refused, cut, stalled or muted
//	script.go   Script: conditions and steps in JavaScript, wherever it runs
//	chromium.go Browser and Tab
//	program.go  a program of Node
//	programs.go where the programs are that are not there on every machine
//
// A test waits for conditions, never for a time.
package chattest
