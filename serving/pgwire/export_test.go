package pgwire

// Split cuts a query string into its statements.
func Split(text string) (out []string) {
	for _, st := range split(text) {
		out = append(out, st.text)
	}
	return out
}

// Held is how many bytes all sessions hold.
func (s *Server) Held() int64 { return s.held.Load() }
