package serving

import "anabranch/fault"

// Known says whether there are the pipelines that an answer has to cover: a
// receipt of another would be passed over in silence. The error is Invalid, with
// code receipt_invalid, and names those there are.
func (s *Serving) Known(fresh Fresh) error {
	err := s.unknown(fresh)
	if err != nil {
		s.Seek()
		err = s.unknown(fresh)
	}
	return err
}

func (s *Serving) unknown(fresh Fresh) error {
	for name := range fresh.AtLeast {
		if _, err := s.Source(name); err != nil {
			return fault.WithCode(fault.New(fault.Invalid, "the receipt that the answer has to cover: %w", err), "receipt_invalid")
		}
	}
	return nil
}
