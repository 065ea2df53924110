package ccm_test

import (
	"testing"

	"github.com/ccmkit/ccmkit/ccm"
)

func FuzzHostInfo(f *testing.F) {
	f.Add([]byte(`{"fw_version":"1.0", "arch":"x", "fw_id":"y", "app":"z"}`), []byte(`["Shadow.Delta","RPC.List","Sys.Info"]`))
	f.Add([]byte(`{"rx_max":1024,"boot":17}`), []byte(`{"a":"b"}`))
	f.Add([]byte(`5`), []byte(`[1,[2],"\u00e9"]`))
	f.Fuzz(func(t *testing.T, info, list []byte) {
		i := ccm.ParseHostInfo(info, list)
		if i.FrameLimit < 0 || i.FrameLimit > 1<<20 || len(i.Methods) > 64 {
			t.Errorf("%+v", i)
		}
	})
}
