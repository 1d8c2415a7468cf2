package web

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestConsoleInChromium(t *testing.T) {
	browser := startChromium(t)
	p := &peer{closed: make(chan closing, 64)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	address := "ws" + strings.TrimPrefix(server.URL, "http")

	openAt := func(t *testing.T, url string) *page {
		ctx, cancel := context.WithTimeout(browser, 2*patience)
		t.Cleanup(cancel)
		ctx, cancel = chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		console := &page{t: t, ctx: ctx, url: url + "/"}
		if err := chromedp.Listen(ctx, console.complaint); err != nil {
			t.Fatal(err)
		}
		console.do(chromedp.Navigate(console.url), chromedp.WaitVisible(chromedp.CSS("#connect")))
		return console
	}
	open := func(t *testing.T) *page { return openAt(t, server.URL) }

	t.Run("AddressDefaultsToTheServerOfThePage", func(t *testing.T) {
		c := open(t)
		c.expect(`document.getElementById("url").value`, address+"/")
	})
	t.Run("EchoIsTimedAndShownAsText", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.send("<img src=x onerror=boom()>")
		c.wait(`document.querySelectorAll(".received .rtt").length === 1`)
		c.expect(`document.querySelector(".received pre").textContent`, "<img src=x onerror=boom()>")
		c.expect(`document.querySelector(".received .size").textContent`, "26 B")
		c.check(`document.querySelectorAll("#log img").length === 0`)
		c.check(`/^\d+\.\d ms$/.test(document.querySelector(".rtt").textContent)`)
		c.wait(`document.getElementById("sent-count").textContent === "1" && document.getElementById("received-bytes").textContent === "26 B"`)
	})
	t.Run("HexGoesOutAsBinaryAndComesBackAsADump", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.do(chromedp.Click(chromedp.CSS("input[value=hex]")))
		c.send("48 65 6C,00:ff 0x0a")
		c.wait(`document.querySelectorAll(".received").length === 1`)
		c.expect(`document.querySelector(".received .type").textContent`, "binary")
		c.expect(`document.querySelector(".received pre").textContent.replace(/ +/g, " ")`, "0000 48 65 6c 00 ff 0a Hel···")
	})
	t.Run("FileGoesOutAsOneBinaryMessage", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "payload.bin")
		if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t)
		c.connect()
		c.do(chromedp.Click(chromedp.CSS("input[value=file]")), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
		c.submit("send-form")
		c.wait(`document.querySelectorAll(".received .rtt").length === 1`)
		c.expect(`document.querySelector(".received .size").textContent`, "97.7 KiB")
	})
	t.Run("EnterSendsAndShiftEnterDoesNot", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.fill("payload", "one")
		c.do(chromedp.Focus(chromedp.CSS("#payload")), enter(shift))
		c.expect(`document.getElementById("payload").value`, "one\n")
		c.do(enter(0))
		c.wait(`document.querySelectorAll(".received").length === 1`)
		c.expect(`document.getElementById("payload").value`, "")
		c.expect(`document.querySelector(".received pre").textContent`, "one\n")
	})
	t.Run("ServerCloseShowsCodeReasonAndCleanness", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.send("server: close")
		c.state("closed")
		c.expect(`document.getElementById("state-text").textContent`, "Closed: 4001 Private code")
		c.expect(`document.getElementById("ending-reason").textContent`, "quota <b>used</b>")
		c.check(`document.getElementById("ending-clean").textContent.startsWith("yes")`)
	})
	t.Run("DroppedConnectionIsNotClean", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.send("server: drop")
		c.state("failed")
		c.expect(`document.getElementById("ending-title").textContent`, "1006 Abnormal closure")
		c.check(`document.getElementById("ending-clean").textContent.startsWith("no")`)
	})
	t.Run("DisconnectSendsTheChosenCodeAndReason", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.fill("close-code", "3001")
		c.fill("close-reason", "done ✓")
		c.expect(`document.getElementById("reason-size").textContent`, "8 of 123 bytes")
		c.submit("close-form")
		c.state("closed")
		p.expectClosing(t, closing{3001, "done ✓"})
	})
	t.Run("RefusedHandshakeIsExplained", func(t *testing.T) {
		c := open(t)
		c.fill("url", address+"/deny")
		c.submit("connect-form")
		c.state("failed")
		c.check(`document.getElementById("ending-meaning").textContent.includes("refused the opening handshake")`)
	})
	t.Run("CancelGivesUpAnOpeningThatGetsNoAnswer", func(t *testing.T) {
		c := open(t)
		c.fill("url", address+"/silent")
		c.submit("connect-form")
		c.state("connecting")
		c.expect(`document.getElementById("connect").textContent`, "Cancel")
		c.submit("connect-form")
		c.state("idle")
		c.fill("url", address)
		c.connect()
	})
	t.Run("ChosenSubprotocolIsShown", func(t *testing.T) {
		c := open(t)
		c.fill("protocols", "other, chat")
		c.connect()
		c.expect(`document.getElementById("fact-protocol").textContent`, "chat")
	})
	t.Run("PageOfHTTPSConnectsToWSSAndShowsTheExtensions", func(t *testing.T) {
		secure := httptest.NewTLSServer(p)
		t.Cleanup(secure.Close)
		c := openAt(t, secure.URL)
		c.expect(`document.getElementById("url").value`, "wss"+strings.TrimPrefix(secure.URL, "https")+"/")
		c.connect()
		c.check(`document.getElementById("fact-extensions").textContent.startsWith("permessage-deflate")`)
		c.send("over TLS")
		c.wait(`document.querySelector(".received pre")?.textContent === "over TLS"`)
	})
	t.Run("LogKeepsTheNewest500Rows", func(t *testing.T) {
		c := open(t)
		c.connect()
		c.send("server: flood")
		c.wait(`document.querySelector("#rows li:last-child pre")?.textContent === "flood ends"`)
		c.check(`document.getElementById("rows").childElementCount === 500`)
		c.do(chromedp.Click(chromedp.CSS("#clear")))
		c.check(`document.getElementById("rows").childElementCount === 0`)
	})
	t.Run("UnusableInputIsRefusedInWords", func(t *testing.T) { refusals(t, open(t)) })
	t.Run("EveryFieldHasALabel", func(t *testing.T) {
		c := open(t)
		c.expect(`[...document.querySelectorAll("input, textarea")].filter((e) => e.labels.length === 0).map((e) => e.id).join()`, "")
		c.check(`document.getElementById("state").getAttribute("role") === "status"`)
	})
	// 390x500 is a phone whose keyboard is open.
	for _, size := range [][2]int64{{390, 844}, {390, 500}, {360, 640}, {768, 1024}, {1280, 800}} {
		t.Run(fmt.Sprintf("SendIsInViewAt%dx%d", size[0], size[1]), func(t *testing.T) {
			c := open(t)
			c.do(chromedp.EmulateViewport(size[0], size[1]))
			const inView = `((r) => r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth)(document.getElementById("send").getBoundingClientRect())`
			if size[1] > 500 {
				c.check(inView)
			}
			c.connect()
			for range 30 {
				c.send("one of many")
			}
			c.wait(`document.querySelectorAll(".received").length === 30`)
			c.check(inView)
			const newest = `((r, f) => r.bottom <= f.top + 1)(document.querySelector("#rows li:last-child").getBoundingClientRect(), document.getElementById("send-form").getBoundingClientRect())`
			c.check(newest)
		})
	}
	for _, width := range []int64{360, 1280} {
		t.Run("NothingIsWiderThanTheWindow", func(t *testing.T) {
			c := open(t)
			c.do(chromedp.EmulateViewport(width, 740))
			const fits = `[document.documentElement, document.getElementById("log")].every((e) => e.scrollWidth <= e.clientWidth)`
			c.check(fits)
			c.connect()
			c.send(strings.Repeat("unbroken", 40))
			c.do(chromedp.Click(chromedp.CSS("input[value=hex]")))
			c.send(strings.Repeat("ff", 64))
			c.wait(`document.querySelectorAll(".received").length === 2`)
			c.check(fits)
			c.do(chromedp.Click(chromedp.CSS("input[value=file]")))
			c.check(fits)
			c.submit("close-form")
			c.state("closed")
			c.check(fits)
		})
	}
}

func refusals(t *testing.T, c *page) {
	cases := []struct{ form, field, value, errorID, want string }{
		{"connect-form", "url", "", "connect-error", "Enter an address"},
		{"connect-form", "url", "http://localhost/", "connect-error", "ws:// or wss://"},
		{"connect-form", "url", "ws://localhost:99999/", "connect-error", "not a valid address"},
		{"connect-form", "url", "ws://localhost/#top", "connect-error", "no fragment"},
		{"send-form", "payload", "early", "send-error", "connect first"},
	}
	connected := []struct{ form, field, value, errorID, want string }{
		{"close-form", "close-code", "1001", "close-error", "1000 or a code from 3000 to 4999"},
		{"close-form", "close-code", "abc", "close-error", "1000 or a code from 3000 to 4999"},
		{"send-form", "payload", "4g", "send-error", "“g” is not a hex digit"},
		{"send-form", "payload", "123", "send-error", "3 digits"},
	}
	check := func(form, field, value, errorID, want string) {
		c.fill(field, value)
		c.submit(form)
		c.wait(`document.getElementById("` + errorID + `").textContent.includes("` + want + `")`)
	}
	for _, k := range cases {
		check(k.form, k.field, k.value, k.errorID, k.want)
	}
	c.fill("url", "ws"+strings.TrimPrefix(c.url, "http"))
	check("connect-form", "protocols", "a,,b", "connect-error", "empty subprotocol")
	check("connect-form", "protocols", "a b", "connect-error", "cannot be a subprotocol")
	check("connect-form", "protocols", "a,a", "connect-error", "listed twice")
	c.fill("protocols", "")
	c.connect()
	c.do(chromedp.Click(chromedp.CSS("input[value=hex]")))
	for _, k := range connected {
		check(k.form, k.field, k.value, k.errorID, k.want)
	}
	c.fill("close-code", "1000")
	check("close-form", "close-reason", strings.Repeat("ä", 62), "close-error", "124 bytes")
}
