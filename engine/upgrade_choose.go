package engine

// choose makes what ShouldUpgrade chose for this connection its own, before it is
// open. The error is an *OptionError. On the loop.
func (ws *WebSocket) choose(req *Request) error {
	if req.Limits != nil {
		e, err := ws.settings().with(*req.Limits)
		if err != nil {
			return err
		}
		ws.goBy(e)
	}
	if req.Slow != nil {
		if err := ws.SetSlow(*req.Slow); err != nil {
			return err
		}
	}
	if req.Callbacks != nil {
		ws.callbacks = req.Callbacks
	}
	if req.Value != nil {
		Set(ws, req.Value)
	}
	return nil
}
