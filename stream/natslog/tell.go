package natslog

import (
	"github.com/nats-io/nats.go"
)

// tellSubject is before what processes tell each other; no stream keeps it.
const tellSubject = "anabranch-tell."

// Tell sends a few bytes to every process that hears topic just now. They may
// get lost: it is for news that the next one replaces.
func (s *Store) Tell(topic string, data []byte) error {
	return classify(s.writing.Publish(tellSubject+topic, data), "tell about %s", topic)
}

// Hear calls fn, one call after the other, with what is told about topic from
// now on, also by this process. Stop returns before the last call may have.
func (s *Store) Hear(topic string, fn func([]byte)) (stop func(), err error) {
	sub, err := s.writing.Subscribe(tellSubject+topic, func(m *nats.Msg) { fn(m.Data) })
	if err != nil {
		return nil, classify(err, "hear about %s", topic)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
