package admin

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/cmd/fanloop/reload"
)

//go:embed web
var web embed.FS

// pageFiles are those of the operator's page, with their types.
var pageFiles = map[string]struct{ file, kind string }{
	"/admin":           {"web/index.html", "text/html; charset=utf-8"},
	"/admin/style.css": {"web/style.css", "text/css; charset=utf-8"},
	"/admin/page.js":   {"web/page.js", script},
	"/admin/charts.js": {"web/charts.js", script},
	"/admin/trace.js":  {"web/trace.js", script},
}

const script = "text/javascript; charset=utf-8"

// policy allows the page its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// servePage serves the files of the page to everybody: what they show is for operators.
func (h *Handler) servePage() {
	for path, f := range pageFiles {
		body, err := web.ReadFile(f.file)
		if err != nil {
			panic(err) // it is embedded
		}
		h.serveFile(path, f.kind, body)
	}
	h.serveFile("/admin/reload.js", script, reload.Script)
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/admin", http.StatusSeeOther)
	})
	h.operator("POST /admin/state", http.HandlerFunc(h.state))
	h.operator("POST /admin/nodes", http.HandlerFunc(h.nodes))
	h.operator("POST /admin/trace", http.HandlerFunc(h.trace))
}

func (h *Handler) serveFile(path, kind string, body []byte) {
	h.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		answer(w, kind, http.StatusOK, body)
	})
}

// nodes answers with how all nodes are.
func (h *Handler) nodes(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	body, _ := json.Marshal(h.config.Node.States(ctx)) // of plain fields
	answer(w, "application/json", http.StatusOK, body)
}

// State is what the page shows, as it is now.
type State struct {
	service.Look
	Time      int64     `json:"time"` // milliseconds of a clock that does not step
	Ready     string    `json:"ready"`
	Connected bool      `json:"connected"`
	Sessions  int       `json:"sessions"`
	Users     int       `json:"users"`
	Topics    int       `json:"followed"`
	Lagging   int       `json:"lagging"`
	Queued    int       `json:"queued"`
	Lag       []float64 `json:"lag"` // seconds, of each loop

	// Of the store in this process, in bytes; 0: there is none.
	StoreUsed  int64 `json:"storeUsed"`
	StoreLimit int64 `json:"storeLimit"`

	// Of the servers that keep messages: whether enough of them run, and how many this node
	// reaches, of how many; 0: not known.
	Quorum  bool `json:"quorum"`
	Reached int  `json:"reached"`
	Servers int  `json:"servers"`

	Hooks []Hook `json:"hooks"`

	// Counted since the start.
	Published uint64 `json:"published"`
	Delivered uint64 `json:"delivered"`
	Errors    uint64 `json:"errors"`
}

// Hook is one hook, with what became of its questions since the start.
type Hook struct {
	Kind     string  `json:"kind"`
	State    string  `json:"state"`   // of the circuit
	Pending  int     `json:"pending"` // questions that run or wait
	Allowed  uint64  `json:"allowed"`
	Refused  uint64  `json:"refused"`
	Timeouts uint64  `json:"timeouts"`
	Errors   uint64  `json:"errors"`  // the backend could not be reached, or its answer is none
	Skipped  uint64  `json:"skipped"` // the circuit was open, or too many waited
	Answered uint64  `json:"answered"`
	Seconds  float64 `json:"seconds"` // that all with an answer took
}

func hookOf(h *hooks.Stats) Hook {
	o := h.Outcomes
	return Hook{
		Kind: string(h.Kind), State: string(h.State), Pending: h.Pending, Allowed: o[hooks.Allowed], Refused: o[hooks.Refused],
		Timeouts: o[hooks.Timeout], Errors: o[hooks.Connection] + o[hooks.Status] + o[hooks.Body], Skipped: o[hooks.Open] + o[hooks.Busy],
		Answered: h.Took.Count, Seconds: h.Took.Sum.Seconds(),
	}
}

var began = time.Now()

func (h *Handler) state(w http.ResponseWriter, r *http.Request) {
	n := h.config.Node
	st, engine := n.Stats(), n.Engine().Stats()
	s := State{
		Look: n.Look(20), Time: time.Since(began).Milliseconds(), Ready: "ready", Connected: st.Connected,
		Sessions: st.Sessions, Users: st.Users, Topics: st.Cluster.Topics, Lagging: st.Live.CatchingUp,
		Queued: engine.QueuedBytes, Published: st.Stored.Count, Delivered: st.Delivered,
	}
	if err := n.Ready(); err != nil {
		s.Ready = err.Error()
	}
	s.StoreUsed, s.StoreLimit = st.Store.Used, st.Store.Limit
	s.Quorum, s.Reached, s.Servers = st.Quorum, st.Servers.Reached, st.Servers.All
	for i := range st.Hooks {
		s.Hooks = append(s.Hooks, hookOf(&st.Hooks[i]))
	}
	for _, count := range st.Errors {
		s.Errors += count
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	for _, lag := range n.Lag(ctx) {
		s.Lag = append(s.Lag, lag.Seconds())
	}
	body, err := json.Marshal(&s)
	if err != nil {
		h.failed.Log(h.config.Log, slog.LevelError, "the state cannot be shown", slog.Any("err", err))
		refuse(w, http.StatusInternalServerError, "internal", "the log of the node says more")
		return
	}
	answer(w, "application/json", http.StatusOK, body)
}
