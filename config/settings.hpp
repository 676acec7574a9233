// Settings: everything that can be configured, as plain data with its defaults, read once and never changed:
// a reload makes a new one. Loaded by config/loader.hpp; every key is explained in
// config/alcove.example.yaml. Units: durations in milliseconds, sizes in bytes. Any thread.
#pragma once

#include "base/cidr.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace alcove {

struct TlsFiles {
  std::string certificate;  // PEM, the chain
  std::string key;          // PEM

  bool operator==(const TlsFiles&) const = default;
};

struct ListenSettings {
  Endpoint endpoint;
  std::optional<TlsFiles> tls;

  bool operator==(const ListenSettings&) const = default;
};

// The user is what this header says, if the request comes from one of these addresses. From others it is
// dropped.
struct TrustedHeaderIdentity {
  std::string header = "X-User-ID";
  std::vector<Cidr> from;

  bool operator==(const TrustedHeaderIdentity&) const = default;
};

// Asks for a name and believes it. For trying Alcove; named "dev" so that nobody takes it for real.
struct DevIdentity {
  std::string cookie = "alcove_dev";
  std::string secret;  // HMAC key; empty: made at start, so cookies end with the process
  Millis ttl{12 * 3'600'000};
  std::string cookie_domain;  // empty: the host that was asked

  bool operator==(const DevIdentity&) const = default;
};

using IdentitySettings = std::variant<TrustedHeaderIdentity, DevIdentity>;

enum class WebSocketActivity : std::uint8_t {
  data,   // data frames in either direction
  bytes,  // any bytes
  open,   // as long as it is open
};

// A signed statement of who asks, for pods that want proof: a JWT (RFC 7519, HS256) in a field of its own.
struct IdentityJwtSettings {
  std::string header = "X-Alcove-Jwt";
  std::string secret;   // HMAC key, shared with the pod; empty: no JWT is sent
  Millis ttl{300'000};  // of a JWT; what a pod is sent has at least half of this to live

  bool operator==(const IdentityJwtSettings&) const = default;
};

// A volume of an app's pods on Kubernetes: where it is mounted, and one of the kinds.
struct ClaimVolume {  // a PersistentVolumeClaim of the session's own
  std::string size = "1Gi";
  std::optional<std::string> storage_class;  // none: the cluster's default; "": volumes that exist already
  std::string access = "ReadWriteOnce";
  bool keep = true;  // there again in the next generation; false: it goes with its pod

  bool operator==(const ClaimVolume&) const = default;
};
struct EmptyVolume {
  std::string size;     // empty: no limit
  bool memory = false;  // in memory, and counted as such

  bool operator==(const EmptyVolume&) const = default;
};
struct ConfigMapVolume {
  std::string name;

  bool operator==(const ConfigMapVolume&) const = default;
};
struct SecretVolume {
  std::string name;

  bool operator==(const SecretVolume&) const = default;
};
struct KubernetesVolume {
  std::string name;  // a label; the key in the file
  std::string path;
  bool read_only = false;
  std::variant<EmptyVolume, ClaimVolume, ConfigMapVolume, SecretVolume> source;

  bool operator==(const KubernetesVolume&) const = default;
};

struct KubernetesToleration {
  std::string key;  // empty: all taints
  std::string value;
  std::string effect;  // empty: all effects
  bool exists = true;  // whatever the value
  std::optional<std::uint32_t> seconds;

  bool operator==(const KubernetesToleration&) const = default;
};

enum class ImagePull : std::uint8_t { by_default, always, if_not_present, never };

// How an app's pods look on Kubernetes. Quantities are in Kubernetes' own words ("100m", "512Mi").
struct KubernetesAppSettings {
  using Texts = std::vector<std::pair<std::string, std::string>>;

  std::string image;
  ImagePull pull = ImagePull::by_default;
  std::vector<std::string> pull_secrets;
  std::vector<std::string> command;  // in place of the image's own; {port} {address} {session} are replaced
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::uint16_t>> ports;  // more of them, by name
  Texts secret_env;                                          // NAME: secret/key
  Texts requests;                                            // cpu: 100m
  Texts limits;
  Texts node_selector;
  std::vector<KubernetesToleration> tolerations;
  std::string priority_class;
  std::string service_account;  // empty: the namespace's default one, without a token
  bool mount_token = false;
  std::vector<KubernetesVolume> volumes;
  std::string live_path;  // GET that must answer below 400, or the pod is ended; empty: none
  Millis live_period{10'000};
  std::uint32_t run_as_user = 0;  // 0: the image's own, which must not be root
  std::uint32_t run_as_group = 0;
  std::uint32_t fs_group = 0;
  bool read_only_root = false;
  Texts labels;
  Texts annotations;
  std::string pod;  // JSON: a part of a Pod manifest that is merged over all this; empty: none

  bool operator==(const KubernetesAppSettings&) const = default;
};

// Which requests start a pod that is at rest. Navigations and what comes from no browser do.
struct WakeSettings {
  bool background = false;         // also a page's scripts, images and WebSockets
  std::vector<std::string> paths;  // prefixes whose requests do, whoever asks
  // Words of a User-Agent whose requests do not, in any case of letters.
  std::vector<std::string> bots{"bot",    "crawl",       "spider",     "preview",   "monitor",
                                "uptime", "healthcheck", "kube-probe", "prometheus"};

  bool operator==(const WakeSettings&) const = default;
};

struct AppSettings {
  std::string name;  // a label; the key in the file

  // Routing
  std::string path;         // "/notebook/": reached under this prefix too; empty: by hostname alone
  bool strip_path = false;  // the pod does not see the prefix
  std::string
      host_header;  // sent to the pod instead of the client's Host (and Origin with it); empty: unchanged
  std::string identity_header = "X-Alcove-User";  // tells the pod who asks; empty: none
  IdentityJwtSettings identity_jwt;

  // Pod (local runtime)
  std::vector<std::string> command;  // {address} {port} {user} {session} {dir} are replaced; no shell
  std::vector<std::pair<std::string, std::string>> env;  // same placeholders
  std::vector<std::pair<std::string, std::string>>
      files;  // written to the working directory, same placeholders
  std::uint16_t port = 8080;
  std::string ready_path;  // GET that must answer below 500; empty: it accepts a connection
  Millis start_timeout{60'000};
  std::uint64_t log_limit = 1 << 20;  // bytes of output kept per pod
  KubernetesAppSettings kubernetes;

  // Life
  Millis idle_timeout{600'000};
  Millis max_lifetime{0};
  Millis drain_grace{5'000};
  Millis stop_grace{10'000};
  WebSocketActivity websocket = WebSocketActivity::data;
  std::vector<std::string> quiet_paths;  // prefixes whose requests are no activity (polling)
  Millis busy_limit{86'400'000};         // most that a pod can say of itself (X-Alcove-Busy-For); 0: nothing
  WakeSettings wake;

  // Traffic
  Millis hold_timeout{60'000};
  Millis waiting_page_after{1'000};  // browsers' navigations that wait longer see the waiting page
  std::uint64_t body_limit = 0;      // of a request; 0: none
  Millis response_timeout{60'000};   // to the first byte of the answer
  Millis pod_idle{4'000};  // an unused connection to a pod is closed before the pod does (Node: 5 s)

  bool operator==(const AppSettings&) const = default;
};

struct LimitSettings {
  std::uint32_t head_bytes = 32 * 1024;
  std::uint32_t head_fields = 100;
  std::uint32_t connections = 20'000;  // in all
  std::uint32_t connections_per_address = 2'000;
  std::uint32_t requests_per_connection = 0;  // 0: no limit
  std::uint32_t holds = 5'000;                // in all
  std::uint32_t holds_per_user = 256;
  std::uint32_t body_rate = 256;  // least bytes a second of a request body, over 10 s

  bool operator==(const LimitSettings&) const = default;
};

struct TimeoutSettings {
  Millis head{10'000};         // from the first byte of a head to its end
  Millis client_idle{75'000};  // between requests
  Millis body_idle{60'000};    // no byte of a body, either direction
  Millis event_idle{
      3'600'000};  // the same for event streams (text/event-stream), which may be silent for long
  Millis connect{3'000};
  Millis tunnel_idle{3'600'000};
  Millis drain_delay{0};  // on SIGTERM: not ready, but still accepting, until load balancers have noticed
  Millis drain{30'000};   // after that: what is under way may finish, then the hard stop
  Millis linger{2'000};   // reading on after an early answer

  bool operator==(const TimeoutSettings&) const = default;
};

// What the gateway may do without the store.
struct OutageSettings {
  Millis serve_known_for{60'000};  // cached routes are used so long after the last answer of the store

  bool operator==(const OutageSettings&) const = default;
};

struct MemoryStoreSettings {
  bool operator==(const MemoryStoreSettings&) const = default;
};
struct RedisStoreSettings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string user;
  std::string password;
  std::uint32_t database = 0;
  bool tls = false;
  std::string ca_file;            // empty: the system's
  std::string prefix = "alcove";  // of every key and channel
  Millis timeout{2'000};          // of a command

  bool operator==(const RedisStoreSettings&) const = default;
};
using StoreSettings = std::variant<MemoryStoreSettings, RedisStoreSettings>;

struct LocalRuntimeSettings {
  std::string
      directory;  // working directories and logs; empty: $XDG_STATE_HOME/alcove or ~/.local/state/alcove
  std::string network = "127.96.0.0/11";  // pods' addresses are taken from here

  bool operator==(const LocalRuntimeSettings&) const = default;
};
struct StaticRuntimeSettings {
  std::vector<Endpoint> endpoints;
  bool shared = false;  // true: many sessions may get the same endpoint

  bool operator==(const StaticRuntimeSettings&) const = default;
};
struct KubernetesRuntimeSettings {
  std::string kubeconfig;           // empty: in a pod its service account, else $KUBECONFIG or ~/.kube/config
  std::string context;              // of the kubeconfig; empty: its current one
  std::string pods_namespace;       // empty: the service account's, or the context's
  std::string instance = "alcove";  // whose pods these are, when several Alcoves share a namespace
  Millis force_after{60'000};       // a pod still there so long after its grace is removed by force; 0: never

  bool operator==(const KubernetesRuntimeSettings&) const = default;
};
using RuntimeSettings = std::variant<LocalRuntimeSettings, StaticRuntimeSettings, KubernetesRuntimeSettings>;

struct ProvisionerSettings {
  std::uint32_t starts_at_once = 20;
  Millis retry_first{1'000};  // after a failed start, doubling
  Millis retry_most{300'000};
  Millis claim_lease{30'000};

  bool operator==(const ProvisionerSettings&) const = default;
};

struct ReaperSettings {
  Millis interval{1'000};
  Millis orphan_grace{10'000};  // a pod without a record is removed after this

  bool operator==(const ReaperSettings&) const = default;
};

struct AdminSettings {
  Endpoint endpoint{boost::asio::ip::address_v4::loopback(), 8081};
  std::string token;  // required unless the address is loopback

  bool operator==(const AdminSettings&) const = default;
};

struct LogSettings {
  bool json = false;
  std::string level = "info";
  bool access = true;

  bool operator==(const LogSettings&) const = default;
};

struct Settings {
  std::string file;  // where it came from, for messages; empty: built in
  std::vector<ListenSettings> listen;
  std::string takeover;  // a Unix socket on which a gateway hands its listeners to its successor; empty: none
  std::uint32_t workers = 0;                      // 0: one per CPU
  std::vector<std::string> domains{"localhost"};  // app.DOMAIN, name--scope.DOMAIN
  std::vector<IdentitySettings> identity;
  std::vector<Cidr> trusted_proxies;  // whose X-Forwarded-* and Forwarded are believed and appended to
  StoreSettings store;
  RuntimeSettings runtime;
  ProvisionerSettings provisioner;
  ReaperSettings reaper;
  LimitSettings limits;
  TimeoutSettings timeouts;
  OutageSettings outage;
  Millis activity_interval{1'000};  // between a gateway's beats
  AdminSettings admin;
  LogSettings log;
  std::vector<AppSettings> apps;

  bool operator==(const Settings&) const = default;

  const AppSettings* find_app(std::string_view name) const {
    for (const AppSettings& app : apps)
      if (app.name == name) return &app;
    return nullptr;
  }
};

using SettingsPtr = std::shared_ptr<const Settings>;

}  // namespace alcove
