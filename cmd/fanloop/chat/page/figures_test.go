package page_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

// TestFigures measures the page in Chromium, where FANLOOP_FIGURES is set: make figures.
// It decides nothing.
func TestFigures(t *testing.T) {
	if os.Getenv("FANLOOP_FIGURES") == "" {
		t.Skip("FANLOOP_FIGURES is not set")
	}
	browser, node := chattest.StartBrowser(t), chattest.StartNode(t, nil)
	node.Say("bob", "figures", chattest.Count("something that was said before", 400)...)
	measureLoad(t, enter(t, browser, node, "ann", "figures"))
	measureFrames(t, enter(t, browser, node, "bea", "figures"), node)
}

// interactive notes when the room is drawn, the connection stands and the composer takes keys.
const interactive = `(() => {
	const look = () => {
		const done = document.getElementById("state")?.dataset.state === "connected" && document.getElementById("list").ariaBusy === "false"
			&& document.querySelector("#list .message") && !document.getElementById("text").disabled;
		if (done) globalThis.interactive = performance.now();
		else requestAnimationFrame(look);
	};
	look();
})()`

// measureLoad loads the page without a cache, by somebody who is signed in.
func measureLoad(t *testing.T, ann *person) {
	yes := true
	if _, err := chattest.Call(ann.Tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: interactive}); err != nil {
		t.Fatal(err)
	}
	var times []float64
	for range 10 {
		if _, err := chattest.Call(ann.Tab, page.Reload, page.ReloadParams{IgnoreCache: &yes}); err != nil {
			t.Fatal(err)
		}
		ann.Wait(`!globalThis.look && globalThis.interactive > 0`)
		var at float64
		ann.Get(`interactive`, &at)
		times = append(times, at)
		ann.Do(look)
	}
	var load struct{ Requests, Bytes int }
	ann.Get(firstLoad, &load)
	slices.Sort(times)
	t.Logf("first load: %d requests, %d bytes compressed; interactive after %.0f ms (median of %d; the slowest %.0f ms)", load.Requests, load.Bytes, times[len(times)/2], len(times), times[len(times)-1])
}

// firstLoad counts what the page loaded, by the browser's own account.
const firstLoad = `(() => {
	const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource").filter(({ initiatorType }) => initiatorType !== "fetch")];
	return { Requests: all.length, Bytes: all.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) };
})()`

// measureFrames counts the frames while 50 messages arrive in each second, at the end of a
// room, and while somebody types: an animation that wants a new frame each time.
func measureFrames(t *testing.T, bea *person, node *chattest.Node) {
	const seconds, rate = 20, 50
	bea.Run(chromedp.EmulateViewport(1200, 800))
	bea.Do(`globalThis.frames = [];
		const frame = (now) => (frames.push(now), requestAnimationFrame(frame));
		requestAnimationFrame(frame)`)
	say, typing := node.Speak(t, "bob", "figures"), node.Type(t, "cy", "figures")
	events := bea.Trace(t, func() {
		began := time.Now()
		for i := range seconds * rate {
			if i%(3*rate) == 0 {
				typing()
			}
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / rate)))
			say("a message that arrives, as many others do, in a busy room")
		}
	}, "devtools.timeline", "disabled-by-default-devtools.timeline.frame", "toplevel")
	var frames []float64
	bea.Get(`frames`, &frames)
	process, longest, busy := mainThread(events)
	var late int
	var worst float64
	for i := 1; i < len(frames); i++ {
		gap := frames[i] - frames[i-1]
		worst = max(worst, gap)
		if gap > 25 {
			late++
		}
	}
	drawn, dropped := 0, 0
	for _, e := range events {
		switch {
		case e.PID != process: // that of the browser draws what the page has drawn
		case e.Name == "DrawFrame":
			drawn++
		case e.Name == "DroppedFrame":
			dropped++
		}
	}
	span := (frames[len(frames)-1] - frames[0]) / 1000
	t.Logf("%d messages a second for %d s: %.1f frames a second by the page, %d of %d later than 25 ms, the longest %.0f ms apart", rate, seconds, float64(len(frames)-1)/span, late, len(frames)-1, worst)
	t.Logf("by the trace: %.1f frames a second drawn, %d dropped; the page's thread is busy for %.0f%%, its longest task takes %.0f ms", float64(drawn)/seconds, dropped, 100*busy/seconds/1e6, longest/1000)
}

// mainThread looks for the thread of the page: that which fires its animation frames. It
// returns its process, and of its tasks the longest and the sum, in microseconds.
func mainThread(events []chattest.TraceEvent) (process int, longest, busy float64) {
	fired := map[[2]int]int{}
	for _, e := range events {
		if e.Name == "FireAnimationFrame" {
			fired[[2]int{e.PID, e.TID}]++
		}
	}
	var thread [2]int
	for at, n := range fired {
		if n > fired[thread] {
			thread = at
		}
	}
	for _, e := range events {
		if e.Name == "ThreadControllerImpl::RunTask" && e.PID == thread[0] && e.TID == thread[1] {
			longest = max(longest, e.Took)
			busy += e.Took
		}
	}
	return thread[0], longest, busy
}
