package api

// SteerDeployment says what becomes of a build of the workers.
type SteerDeployment struct {
	Build   string  `json:"build,omitempty"`   // of "ramp" and "promote"
	Percent float32 `json:"percent,omitempty"` // of "ramp": of the new runs
}
