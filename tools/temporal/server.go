package main

import (
	"fmt"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// stopTimeout bounds a clean stop. Past it the process ends as if killed,
// which the database stands.
const stopTimeout = 10 * time.Second

// tuning departs from the server's defaults, which are meant for a cluster.
var tuning = dynamicconfig.StaticClient{
	// Nothing here calls out of the machine.
	dynamicconfig.EnableServerVersionCheck.Key(): false,
	// A search attribute or endpoint can be used the moment it was added; on
	// one machine the cache that this bypasses saves nothing.
	dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
	dynamicconfig.ForceNexusEndpointRefreshOnRead.Key():         true,
	// One shard keeps few histories in memory.
	dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 2048,
	// A task whose worker was killed, several times in a row, is given out
	// again soon and not after ten minutes.
	dynamicconfig.WorkflowTaskRetryMaxInterval.Key(): 10 * time.Second,
	// The limits that protect a shared cluster only slow one machine down.
	dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 200,
	dynamicconfig.FrontendPersistenceMaxQPS.Key():                    10000,
	dynamicconfig.HistoryPersistenceMaxQPS.Key():                     45000,
}

// newServer returns the four services of Temporal in this process, not yet
// started.
func newServer(st *store, p *ports, logger log.Logger) (temporal.Server, error) {
	cfg := serverConfig(st, p)
	authorizer, err := authorization.GetAuthorizerFromConfig(&cfg.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("set up the server: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("set up the server: %w", err)
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, svc := range cfg.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(address(svc.RPC.GRPCPort))
	}
	srv, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(tuning),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the server: %w", err)
	}
	return srv, nil
}

func serverConfig(st *store, p *ports) *config.Config {
	const off = "disabled"
	service := func(grpc, http int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: grpc, HTTPPort: http, BindOnIP: host}}
	}
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: "sqlite", VisibilityStore: "sqlite", NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{"sqlite": {SQL: st.sql}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, ClusterID: "anabranch",
				RPCAddress: p.frontendAddress(), HTTPAddress: address(p.frontendHTTP),
			}},
		},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(p.frontend, p.frontendHTTP),
			string(primitives.HistoryService):  service(p.history, 0),
			string(primitives.MatchingService): service(p.matching, 0),
			string(primitives.WorkerService):   service(p.worker, 0),
		},
	}
	cfg.Global.Membership.MaxJoinDuration = 30 * time.Second
	cfg.Global.Membership.BroadcastAddress = host
	cfg.DCRedirectionPolicy.Policy = "noop"
	cfg.Archival.History.State, cfg.Archival.Visibility.State = off, off
	cfg.NamespaceDefaults.Archival.History.State, cfg.NamespaceDefaults.Archival.Visibility.State = off, off
	cfg.PublicClient.HostPort = p.frontendAddress()
	return cfg
}

// startUI serves the web UI. The library ends the process with a message when
// it cannot listen; its port was free a moment ago.
func startUI(p *ports) *uiserver.Server {
	ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host: host, Port: p.ui, TemporalGRPCAddress: p.frontendAddress(),
		EnableUI: true, HideLogs: true, DisableNewsFetch: true, DefaultNamespace: namespace,
		// Plain HTTP on loopback: a cookie marked secure would never come back.
		CORS: uiconfig.CORS{CookieInsecure: true},
	}))
	go func() { _ = ui.Start() }()
	return ui
}

// stopWithin stops srv, giving up after d.
func stopWithin(srv temporal.Server, d time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Stop()
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}
