package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reeflective/readline"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const shellHelp = `Queries end with ; and may have many lines. Tab completes, Ctrl-R searches what was asked before.
  \d            the views there are       \d VIEW      the columns of one
  \o FORMAT     table, json, ndjson, csv  \timing      how long answers take, on and off
  \receipt      that of the last answer   \q           leave
`

// shell reads queries and shows answers until its input ends.
type shell struct {
	querying
	names []string // of views and columns, for completion
}

func newShell() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "shell",
		Short: "Ask the merged views in SQL, query by query, with history and completion",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := t.client()
			if err != nil {
				return err
			}
			s := &shell{querying: querying{client: cl, out: c.OutOrStdout(), err: c.ErrOrStderr(), format: "table"}}
			if in, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
				// An interrupt ends a query here, not the shell.
				return s.converse(context.WithoutCancel(c.Context()))
			}
			return s.script(c.Context(), c.InOrStdin())
		},
	}
	t.flags(c)
	return c
}

// script runs what comes from a file or a pipe, up to the first mistake.
func (s *shell) script(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if !complete(text.String()) {
			continue
		}
		if over, err := s.do(ctx, text.String()); over || err != nil {
			return err
		}
		text.Reset()
	}
	if err := lines.Err(); err != nil {
		return err
	}
	_, err := s.do(ctx, text.String())
	return err
}

// converse talks to a person.
func (s *shell) converse(ctx context.Context) error {
	if err := s.learn(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Connected to %s. \\? helps, \\q leaves.\n", s.client.Base())
	rl := readline.NewShell()
	rl.Prompt.Primary(func() string { return "anabranch> " })
	rl.Prompt.Secondary(func() string { return "        -> " })
	rl.AcceptMultiline = func(line []rune) bool { return complete(string(line)) }
	rl.Completer = func(line []rune, cursor int) readline.Completions {
		return readline.CompleteValues(s.completions(string(line[:cursor]))...)
	}
	if file, err := historyFile(); err == nil {
		rl.History.AddFromFile("queries", file)
	}
	for {
		line, err := rl.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err != nil: // the end of the input
			fmt.Fprintln(s.out)
			return nil
		}
		running, stop := signal.NotifyContext(ctx, os.Interrupt)
		over, err := s.do(running, line)
		cancelled := running.Err() != nil
		stop()
		switch {
		case over:
			return nil
		case cancelled:
			fmt.Fprintln(s.err, "cancelled")
		case err != nil:
			printError(s.err, err)
		}
	}
}

// do runs one command, or queries in turn, up to the first mistake. Over says that
// the shell is to end.
func (s *shell) do(ctx context.Context, text string) (over bool, err error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, `\`) {
		queries, rest := split(text)
		for _, query := range append(queries, rest) {
			if err := s.ask(ctx, query); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	words := strings.Fields(strings.TrimRight(text, ";"))
	switch command, args := words[0], words[1:]; {
	case command == `\q`:
		return true, nil
	case command == `\?` || command == `\h`:
		_, err = io.WriteString(s.out, shellHelp)
	case (command == `\d` || command == `\dt`) && len(args) == 0:
		err = s.ask(ctx, "SELECT table_schema AS pipeline, table_name AS view FROM information_schema.tables ORDER BY ALL")
	case command == `\d` && len(args) == 1:
		err = s.ask(ctx, "DESCRIBE "+args[0])
	case command == `\timing` && len(args) == 0:
		s.timing = !s.timing
		fmt.Fprintf(s.out, "timing is %s\n", map[bool]string{true: "on", false: "off"}[s.timing])
	case command == `\o` && len(args) == 1:
		if err = formatOf(args[0]); err == nil {
			s.format = args[0]
		}
	case command == `\receipt` && len(args) == 0:
		fmt.Fprintf(s.out, "%s\n", s.last)
	default:
		fmt.Fprintf(s.err, "%s is not known here\n%s", text, shellHelp)
	}
	return false, err
}

func (s *shell) ask(ctx context.Context, sql string) error {
	if sql == "" {
		return nil
	}
	err := s.run(ctx, sql)
	if err != nil && ctx.Err() == nil {
		fmt.Fprint(s.err, marked(sql, err))
	}
	return err
}

// learn asks which names there are.
func (s *shell) learn(ctx context.Context) error {
	var answer struct{ Rows [][]string }
	in := map[string]string{"sql": "SELECT table_schema, table_name, column_name FROM information_schema.columns"}
	if err := s.client.JSON(ctx, http.MethodPost, "/v1/query", in, &answer); err != nil {
		return err
	}
	for _, r := range answer.Rows {
		s.names = append(s.names, r[0]+"."+r[1], r[2])
	}
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	return nil
}

var keywords = strings.Fields("SELECT FROM WHERE GROUP BY ALL ORDER LIMIT HAVING JOIN LEFT USING ON AND OR NOT IN IS NULL AS DESC ASC DISTINCT WITH UNION DESCRIBE SHOW TABLES count sum avg min max")

// completions are what the word at the end of a text may become.
func (s *shell) completions(text string) []string {
	word := text[strings.LastIndexFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n(),;=<>+-*/", r) })+1:]
	if word == "" {
		return s.names
	}
	var out []string
	for _, n := range slices.Concat(s.names, keywords) {
		_, last, _ := strings.Cut(n, ".")
		if strings.HasPrefix(strings.ToLower(n), strings.ToLower(word)) || strings.HasPrefix(last, word) {
			out = append(out, n)
		}
	}
	return out
}

// historyFile is where what was asked is kept, by user.
func historyFile() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "anabranch")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "history")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}
