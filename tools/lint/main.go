// Command composecheck reads a docker-compose file the way Compose does and
// says what is wrong with it: it stands in for `docker compose config` where
// there is no Docker.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: composecheck FILE")
		os.Exit(2)
	}
	problems, err := check(os.Args[1])
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, p := range problems {
		fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[1], p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check loads the file, with variables, defaults and references resolved, and
// adds the rules of this project: pinned images, a health check for
// everything that stays up.
func check(file string) ([]string, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithName("anabranch"))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	var problems []string
	for name, s := range project.Services {
		problems = append(problems, checkService(name, s)...)
	}
	return problems, nil
}

func checkService(name string, s types.ServiceConfig) []string {
	var problems []string
	_, tag, tagged := strings.Cut(s.Image[strings.LastIndex(s.Image, "/")+1:], ":")
	if s.Build == nil && (!tagged || tag == "latest") {
		problems = append(problems, fmt.Sprintf("service %s: image %q has no pinned tag", name, s.Image))
	}
	oneShot := s.Restart == "no" || s.Restart == "on-failure"
	if s.HealthCheck == nil && !oneShot {
		problems = append(problems, fmt.Sprintf("service %s stays up and has no health check", name))
	}
	return problems
}
