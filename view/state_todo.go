package view

// State is declared here only until the group table lands.
type State struct{}
