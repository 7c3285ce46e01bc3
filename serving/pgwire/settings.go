package pgwire

import (
	"maps"
	"slices"
	"strings"
	"time"

	"anabranch/fault"
	"anabranch/serving"
)

// settings are a session's parameters, by their name in lower case.
type settings struct {
	values  map[string]string // what the session has set
	start   map[string]string // what it started with, for RESET
	local   map[string]string // SET LOCAL, until the transaction ends
	fresh   serving.Fresh     // what consistency means
	zones   *time.Location
	limited time.Duration // statement_timeout
}

// defaults are the parameters that may be set. Those that change nothing here
// are there because clients set or show them.
var defaults = map[string]string{
	"consistency":       "eventual",
	"statement_timeout": "0",
	"search_path":       "",
	"timezone":          "UTC",
	"application_name":  "",

	"client_encoding": "UTF8", "server_encoding": "UTF8", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "extra_float_digits": "1",
	"bytea_output": "hex", "standard_conforming_strings": "on", "integer_datetimes": "on", "escape_string_warning": "on", "backslash_quote": "safe_encoding",
	"client_min_messages": "notice", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0",
	"default_transaction_isolation": "read committed", "transaction_isolation": "read committed",
	"default_transaction_read_only": "on", "transaction_read_only": "on", "default_transaction_deferrable": "off", "transaction_deferrable": "off",
	"session_authorization": "", "is_superuser": "off", "role": "none", "in_hot_standby": "off", "row_security": "on",
	"server_version": "", "server_version_num": "150000", "max_identifier_length": "63", "max_index_keys": "32", "block_size": "8192", "max_connections": "2000",
	"lc_collate": "C", "lc_ctype": "C", "lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C",
	"work_mem": "4MB", "maintenance_work_mem": "64MB", "effective_cache_size": "4GB", "random_page_cost": "4", "seq_page_cost": "1", "jit": "off", "synchronous_commit": "on", "xmloption": "content", "xmlbinary": "base64",
	"enable_seqscan": "on", "enable_indexscan": "on", "enable_bitmapscan": "on", "enable_hashjoin": "on", "enable_mergejoin": "on", "enable_nestloop": "on", "geqo": "on",
	"default_tablespace": "", "default_table_access_method": "heap", "temp_tablespaces": "", "check_function_bodies": "on", "default_text_search_config": "pg_catalog.simple", "gin_fuzzy_search_limit": "0",
	"ssl": "off", "wal_level": "replica", "port": "5432", "tcp_keepalives_idle": "0", "password_encryption": "scram-sha-256", "plan_cache_mode": "auto", "constraint_exclusion": "partition", "array_nulls": "on", "quote_all_identifiers": "off", "track_activities": "on", "data_directory_mode": "0700", "log_destination": "stderr", "synchronize_seqscans": "on", "transform_null_equals": "off", "force_parallel_mode": "off", "max_parallel_workers_per_gather": "0", "default_statistics_target": "100", "cursor_tuple_fraction": "0.1",
}

// fixed are the parameters that nobody sets, and what clients may say
// nevertheless because it is so.
var fixed = map[string][]string{
	"client_encoding": {"utf8", "utf-8", "unicode"}, "server_encoding": nil, "integer_datetimes": nil, "server_version": nil, "server_version_num": nil,
	"is_superuser": nil, "in_hot_standby": nil, "max_identifier_length": nil, "max_index_keys": nil, "block_size": nil, "lc_collate": nil, "lc_ctype": nil,
	"standard_conforming_strings": {"on", "true", "1"}, "bytea_output": {"hex"},
	"transaction_read_only": {"on", "true", "1"}, "default_transaction_read_only": {"on", "true", "1"},
	"session_authorization": {"default"}, "role": {"none", "default"},
}

// reported are told to the client whenever they change.
var reported = []string{"server_version", "server_encoding", "client_encoding", "application_name", "default_transaction_read_only", "in_hot_standby",
	"is_superuser", "session_authorization", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings"}

// begin sets what the client gave when it connected.
func (ses *session) begin(given map[string]string) error {
	s := &ses.settings
	s.values, s.local, s.zones = map[string]string{}, map[string]string{}, time.UTC
	s.values["session_authorization"] = ses.user
	s.values["server_version"] = "15.0 (Anabranch " + ses.srv.o.Version + ")"
	if ses.srv.o.TLS != nil {
		s.values["ssl"] = "on"
	}
	if err := ses.chooseDatabase(); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(given))
	for _, name := range names {
		switch {
		case name == "user" || name == "database" || name == "replication" || strings.HasPrefix(name, "_pq_."):
		case name == "options":
			for option := range optionsOf(given[name]) {
				key, value, _ := strings.Cut(option, "=")
				if err := ses.put(strings.ToLower(key), value, false); err != nil {
					return err
				}
			}
		default:
			if err := ses.put(strings.ToLower(name), given[name], false); err != nil {
				return err
			}
		}
	}
	if v := given["replication"]; v != "" && v != "false" && v != "off" && v != "0" {
		return fault.WithCode(fault.New(fault.Invalid, "replication is not spoken here"), "unsupported")
	}
	s.start = maps.Clone(s.values)
	return nil
}

// get returns a parameter's value, "" for one that there is not.
func (ses *session) get(name string) string {
	name = strings.ToLower(name)
	if v, ok := ses.local[name]; ok {
		return v
	}
	switch name {
	case "transaction_isolation":
		return ses.tx.isolation(ses)
	case "statement_timeout":
		return milliseconds(ses.timeout())
	case "search_path":
		if ses.values[name] == "" {
			return strings.Join(quoteAll(ses.path()), ", ")
		}
	}
	if v, ok := ses.values[name]; ok {
		return v
	}
	return defaults[name]
}

// known reports whether there is such a parameter.
func (ses *session) known(name string) bool {
	name = strings.ToLower(name)
	_, ok := defaults[name]
	if !ok {
		_, ok = ses.values[name]
	}
	return ok || name == "receipt"
}

// put sets a parameter, or says why it cannot be.
func (ses *session) put(name, value string, local bool) error {
	old, had := ses.values[name]
	if err := ses.check(name, &value); err != nil {
		return err
	}
	if err := ses.hold(len(name) + len(value)); err != nil {
		return err
	}
	name, value = strings.Clone(name), strings.Clone(value) // and not all that they were sent in
	if local {
		ses.local[name] = value
	} else {
		ses.values[name] = value
	}
	if err := ses.apply(name); err != nil {
		if delete(ses.local, name); had {
			ses.values[name] = old
		} else if !local {
			delete(ses.values, name)
		}
		return err
	}
	return nil
}

func (ses *session) check(name string, value *string) error {
	if allowed, ok := fixed[name]; ok {
		v := strings.ToLower(strings.Trim(*value, `"' `))
		if v == strings.ToLower(ses.get(name)) {
			*value = ses.get(name)
			return nil
		}
		if !slices.Contains(allowed, v) {
			return fault.WithCode(fault.New(fault.Invalid, "%s cannot be %q: it is always %q", name, *value, ses.get(name)), "setting_value")
		}
		*value = ses.get(name)
		return nil
	}
	if name == "receipt" {
		return fault.WithCode(fault.New(fault.Invalid, "the receipt is what the last answer had: write a SELECT with AS OF RECEIPT, or SET consistency = 'at-least RECEIPT'"), "setting_value")
	}
	if name == "datestyle" {
		if !strings.Contains(strings.ToUpper(*value), "ISO") && !slices.Contains([]string{"MDY", "DMY", "YMD"}, strings.ToUpper(strings.TrimSpace(*value))) {
			return fault.WithCode(fault.New(fault.Invalid, "DateStyle cannot be %q: dates are always written ISO", *value), "setting_value")
		}
		*value = defaults[name]
	}
	if name == "intervalstyle" {
		if *value = strings.ToLower(strings.TrimSpace(*value)); *value != isoIntervals && *value != defaults[name] {
			return fault.WithCode(fault.New(fault.Invalid, "IntervalStyle cannot be %q: there is %q and %q", *value, defaults[name], isoIntervals), "setting_value")
		}
	}
	if _, ok := defaults[name]; !ok && !strings.Contains(name, ".") {
		return fault.WithCode(fault.New(fault.Invalid, "unrecognized configuration parameter %q", name), "setting")
	}
	return nil
}

// apply makes a parameter's value work.
func (ses *session) apply(name string) error {
	value := ses.values[name]
	if v, ok := ses.local[name]; ok {
		value = v
	}
	switch name {
	case "timezone":
		zone, shown, err := readZone(value)
		if err != nil {
			return err
		}
		ses.zones = zone
		if _, ok := ses.local[name]; ok {
			ses.local[name] = shown
		} else if value != "" {
			ses.values[name] = shown
		}
	case "statement_timeout":
		d, err := readDuration(value)
		if err != nil {
			return err
		}
		ses.limited = d
	case "consistency":
		f, err := readConsistency(value)
		if err != nil {
			return err
		}
		ses.fresh = f
	}
	return nil
}

// timeout is how long a statement may take: what the session asks for, and
// never longer than the door allows.
func (ses *session) timeout() time.Duration {
	if ses.limited <= 0 || ses.limited > ses.srv.o.Timeout {
		return ses.srv.o.Timeout
	}
	return ses.limited
}

func (ses *session) style() style {
	return style{zone: ses.zones, iso: ses.get("intervalstyle") == isoIntervals}
}
