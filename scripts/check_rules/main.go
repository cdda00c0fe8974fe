// What `promtool check rules` does, without the rest of promtool (which takes ten minutes to build): the file of rules that is named, and one expression
// a line on stdin, in Prometheus' own parser.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	failed := 0
	groups, problems := rulefmt.ParseFile(os.Args[1])
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
		failed++
	}
	rules := 0
	if groups != nil {
		for _, group := range groups.Groups {
			rules += len(group.Rules)
		}
	}
	expressions := 0
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		expressions++
		if _, err := parser.ParseExpr(lines.Text()); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			failed++
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
	fmt.Printf("prometheus: %d rules and %d expressions of the board are right\n", rules, expressions)
}
