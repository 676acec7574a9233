"""The peers' configurations, as texts. Time-outs are Alcove's defaults where a peer has the same."""

from __future__ import annotations

import pathlib

from load.backend import Backend
from load.processes import without_folder

MOST_OPEN = 19_000  # below the limit of open files that machines and containers commonly have (20,000)


def haproxy(backend: Backend, port: int, users: pathlib.Path, mode: str, splice: bool, tls_port: int,
            pem: pathlib.Path | None, threads: int) -> str:
    head = f"""
global
  nbthread {threads}
  maxconn {MOST_OPEN // (4 if splice else 2)}
defaults
  mode {mode}
  timeout connect 3s
  timeout client 75s
  timeout server 60s
  timeout tunnel 1h
  {'option splice-auto' if splice else ''}
frontend f
  bind 127.0.0.1:{port}
"""
    if mode == "tcp":
        servers = "".join(f"  server s{i} {backend.endpoint(i)}\n" for i in range(backend.count))
        return head + "  default_backend b\nbackend b\n  balance roundrobin\n" + servers
    if pem:
        head += (f"  bind 127.0.0.1:{tls_port} ssl crt {pem} ssl-min-ver TLSv1.3 ciphersuites TLS_AES_256_GCM_SHA384 "
                 "curves X25519\n")
    head += f"""  option forwardfor
  http-request set-header X-Alcove-User %[req.hdr(X-User-ID)]
  http-request del-header X-User-ID
  use_backend %[req.hdr(X-Alcove-User),map({users})]
"""
    return head + "".join(f"backend u{i}\n  http-reuse always\n  server s {backend.endpoint(i)}\n"
                          for i in range(backend.count))


def _nginx(folder: pathlib.Path, name: str, http: str, modules: str = "") -> str:
    paths = "".join(f"  {kind}_temp_path {folder}/{name}-{kind};\n"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{modules}
daemon off; worker_processes 1; user root; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;
events {{ worker_connections {2 * MOST_OPEN}; }}  # near its limit it closes connections that are new
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s;
  client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
{paths}{http}
}}
"""


# nginx finds the upstream of a name that it has from a map by comparing it with one after the other; of 1,000 that is
# about 7 % of its time (perf). The other way to 1,000 pods is addresses without upstream blocks, and so without kept
# connections, which costs far more.
def nginx(backend: Backend, port: int, folder: pathlib.Path, tls_port: int, tls) -> str:
    users = "".join(f"    user-{i} u{i};\n" for i in range(backend.count))
    pods = "".join(f"  upstream u{i} {{ server {backend.endpoint(i)}; keepalive 64; keepalive_requests 1000000000; }}\n"
                   for i in range(backend.count))
    listen = f"listen 127.0.0.1:{port} backlog=4096;"
    if tls:
        listen += (f" listen 127.0.0.1:{tls_port} ssl backlog=4096; ssl_certificate {tls.certificate};"
                   f" ssl_certificate_key {tls.key}; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;"
                   " ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;")
    return _nginx(folder, "nginx", f"""
  map_hash_max_size 16384; map_hash_bucket_size 128;
  map $http_x_user_id $pod {{
{users}  }}
  map $http_upgrade $connection_field {{ default upgrade; "" ""; }}
{pods}
  server {{
    {listen}
    location / {{
      proxy_http_version 1.1; proxy_set_header Connection $connection_field; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Alcove-User $http_x_user_id; proxy_set_header X-User-ID "";
      proxy_connect_timeout 3s; proxy_read_timeout 1h; proxy_send_timeout 1h;
      proxy_pass http://$pod;
    }}
  }}""")


def nginx_lua(port: int, folder: pathlib.Path, redis_port: int) -> str:
    modules = "".join(f"load_module /usr/lib/nginx/modules/{name}_module.so;\n" for name in ("ndk_http", "ngx_http_lua"))
    return _nginx(folder, "nginx-lua", f"""
  lua_package_path "/usr/share/lua/5.1/?.lua;;";
  upstream pods {{
    server 127.0.0.1:1;
    balancer_by_lua_block {{
      local pod = ngx.ctx.pod
      assert(require("ngx.balancer").set_current_peer(pod[1], pod[2]))
    }}
    keepalive 2048; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      access_by_lua_block {{
        local store = require("nginx.redis"):new()
        store:set_timeout(1000)
        assert(store:connect("127.0.0.1", {redis_port}))
        local pod = store:get("pod:" .. (ngx.var.http_x_user_id or ""))
        store:set_keepalive(60000, 128)
        if not pod or pod == ngx.null then return ngx.exit(404) end
        local address, port = pod:match("^(.*):(%d+)$")
        ngx.ctx.pod = {{address, tonumber(port)}}
      }}
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Alcove-User $http_x_user_id; proxy_set_header X-User-ID "";
      proxy_pass http://pods;
    }}
  }}""", modules)


def caddy(backend: Backend, port: int) -> str:
    users = "".join(f"    user-{i} {backend.endpoint(i)}\n" for i in range(backend.count))
    return f"""{{
  admin off
  auto_https off
}}
http://:{port} {{
  bind 127.0.0.1
  map {{http.request.header.X-User-ID}} {{pod}} {{
{users}  }}
  reverse_proxy {{pod}} {{
    header_up X-Alcove-User {{http.request.header.X-User-ID}}
    header_up -X-User-ID
  }}
}}
"""


def shown(config: dict) -> str:
    """Alcove's configuration for the report: without the 1,000 endpoints, the ports and the folders of this run."""
    lines = []

    def add(key, value, indent):
        pad = "  " * indent
        if isinstance(value, dict) and value:
            lines.append(f"{pad}{key}:")
            for name, inner in value.items():
                add(name, inner, indent + 1)
        elif key == "endpoints":
            lines.append(f"{pad}{key}: [{value[0].split(':')[0]}:PORT, ... {len(value)} of them]")
        elif key == "listen":
            tls = any("tls" in one for one in value)
            lines.append(f"{pad}listen: [127.0.0.1:PORT{', 127.0.0.1:PORT with tls' if tls else ''}]")
        elif key in ("address", "url", "directory"):
            lines.append(f"{pad}{key}: ...")
        elif key == "command":
            lines.append(f"{pad}{key}: {[without_folder(word) for word in value]}")
        else:
            lines.append(f"{pad}{key}: {str(value).lower() if isinstance(value, bool) else value}")

    for key, value in config.items():
        add(key, value, 0)
    return "\n".join(lines)
