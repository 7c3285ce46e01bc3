package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"anabranch/fault"
	"anabranch/serving/users"
)

func newUser() *cobra.Command {
	return &cobra.Command{
		Use:   "user NAME",
		Short: "Print a user's line for the file of --users",
		Long: `User asks for a password, or reads it from standard input, and prints a line for
the file that --users names. The password cannot be found from it. Servers read
the file when they start.`,
		Example: "  anabranch user ada >> users",
		Args:    exactly(1, "a name"),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			line, err := users.Line(args[0], password)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), line)
			return nil
		},
	}
}

func readPassword(in io.Reader, ask io.Writer, name string) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(ask, "password of %s: ", name)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(ask)
		return string(text), fault.Wrap(fault.Invalid, err)
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fault.Wrap(fault.Invalid, fmt.Errorf("read the password: %w", err))
	}
	return strings.TrimRight(line, "\r\n"), nil
}
