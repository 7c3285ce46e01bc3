package pgwire

// Split cuts a query string into its statements.
func Split(text string) (out []string) {
	for _, st := range split(text) {
		out = append(out, st.text)
	}
	return out
}
