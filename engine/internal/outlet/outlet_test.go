package outlet

import "testing"

// A connection whose end was asked for says so at once, though its phase is the same.
func TestRequestsCountBeforeTheirPhase(t *testing.T) {
	for _, tt := range []struct {
		name     string
		phase    Phase
		asked    Request
		isOpen   bool
		mayWrite bool
	}{
		{"the handshake is under way", Opening, 0, false, false},
		{"open", Open, 0, true, true},
		{"Close: what was sent before goes out first", Open, AskClose, false, true},
		{"messages of the pool are over", Open, AskMute, false, true},
		{"too slow", Open, AskShed, false, false},
		{"failed", Open, AskFail, false, false},
		{"dropped", Open, AskDrop, false, false},
		{"memory is spent", Open, AskRelief, false, false},
		{"dropped behind Close", Open, AskClose | AskDrop, false, false},
		{"closing", Closing, 0, false, false},
		{"closed", Closed, AskDrop, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o Outlet
			o.NoteLocked(tt.asked)
			o.MoveLocked(tt.phase)
			if o.State().Phase() != tt.phase || tt.asked != 0 && !o.State().Asked(tt.asked) {
				t.Errorf("%v with %#x after moving to %v", o.State().Phase(), o.State(), tt.phase)
			}
			if o.IsOpen() != tt.isOpen || o.MayWrite() != tt.mayWrite {
				t.Errorf("IsOpen %v, MayWrite %v; want %v, %v", o.IsOpen(), o.MayWrite(), tt.isOpen, tt.mayWrite)
			}
		})
	}
}

// One of those who ask for the end of a connection is the first, and only while it is open.
func TestOneRequestIsTheFirst(t *testing.T) {
	var o Outlet
	if o.AskLocked(AskClose) {
		t.Error("a connection that is opening took a request")
	}
	o.MoveLocked(Open)
	if !o.AskLocked(AskClose) || o.AskLocked(AskFail) || o.State().Asked(AskFail) {
		t.Error("want AskClose to be noted, and AskFail not to be")
	}
	o.NoteLocked(AskDrop) // which is stronger, and asks nobody
	if !o.State().Asked(AskDrop) || !o.State().Asked(AskClose) {
		t.Errorf("noted %#x", o.State())
	}
}

// Up to the end of its own side, a connection listens to its peer.
func TestPhasesThatHear(t *testing.T) {
	for p := Opening; p <= Closed; p++ {
		if want := p == Opening || p == Open || p == Closing; p.Hears() != want {
			t.Errorf("%v hears: %v", p, p.Hears())
		}
	}
}
