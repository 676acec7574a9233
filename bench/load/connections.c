// A new connection for each request: connect, one request with "Connection: close", the answer to its end,
// close. Plain or over TLS 1.3 with a full handshake each time: no session is kept (wrk keeps them, so that
// hardly one of its handshakes is a full one). One thread, one epoll, closed loop.
//
//   connections --port P --users N --connections C --seconds T [--tls]
//
// Prints one line of JSON: requests answered with 200, those that failed, latencies from connect() to the
// end, and for TLS what was negotiated.
#define _GNU_SOURCE
#include "load/net.h"

#include <openssl/ssl.h>

#include <getopt.h>
#include <signal.h>

struct conn {
  int fd;
  SSL* ssl;
  int asked;
  uint32_t watched;
  uint64_t since;
  size_t have;
  char in[4096];
};

static struct {
  unsigned port, users, connections;
  double seconds;
  int tls;
} o = {.connections = 64};

static int epoll;
static SSL_CTX* context;
static unsigned next_user;
static uint64_t answered, failed, resumed, capacity;
static uint64_t* latencies;
static char negotiated[128];

static void begin(struct conn* c) {
  c->since = now_ns();
  c->fd = begin_connect(address_at("127.0.0.1", 0, o.port), NULL);
  c->asked = 0;
  c->have = 0;
  if (o.tls) {
    c->ssl = SSL_new(context);
    if (!c->ssl) die("SSL_new failed");
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, "demo.localhost");
    SSL_set_connect_state(c->ssl);
  }
  c->watched = EPOLLOUT;
  watch(epoll, EPOLL_CTL_ADD, c->fd, c->watched, c);
}

static void note_latency(uint64_t value) {
  if (answered == capacity) {
    capacity = capacity ? 2 * capacity : 65536;
    latencies = realloc(latencies, capacity * sizeof *latencies);
    if (!latencies) die("out of memory");
  }
  latencies[answered++] = value;
}

static void end(struct conn* c) {
  if (c->have > 12 && strncmp(c->in, "HTTP/1.1 200", 12) == 0) {
    note_latency(now_ns() - c->since);
  } else if (++failed == 1) {
    fprintf(stderr, "not answered with 200: %.*s\n", (int)c->have, c->in);
  }
  if (c->ssl) {
    if (answered == 1)
      snprintf(negotiated, sizeof negotiated, "%s, %s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl));
    resumed += (uint64_t)SSL_session_reused(c->ssl);
    SSL_free(c->ssl);
    c->ssl = NULL;
  }
  close(c->fd);
}

static void want(struct conn* c, uint32_t events) {
  if (c->watched == events) return;
  c->watched = events;
  watch(epoll, EPOLL_CTL_MOD, c->fd, events, c);
}

static int ask(struct conn* c) {
  char text[256];
  const unsigned user = next_user++ % o.users;
  const int size = snprintf(text, sizeof text,
                            "GET /user-%u/ HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: user-%u\r\n"
                            "Connection: close\r\n\r\n",
                            user, user);
  const int out = c->ssl ? SSL_write(c->ssl, text, size) : (int)write(c->fd, text, (size_t)size);
  c->asked = 1;
  return out == size;
}

// False: the connection has ended, well or not.
static int go_on(struct conn* c) {
  if (c->ssl && !SSL_is_init_finished(c->ssl)) {
    const int done = SSL_do_handshake(c->ssl);
    if (done != 1) {
      const int why = SSL_get_error(c->ssl, done);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return 0;
      want(c, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
      return 1;
    }
  }
  if (!c->asked) {
    if (!ask(c)) return 0;
    want(c, EPOLLIN);
    return 1;
  }
  for (;;) {
    const size_t room = sizeof c->in - c->have;
    if (room == 0) die("an answer is too long");
    const int got =
        c->ssl ? SSL_read(c->ssl, c->in + c->have, (int)room) : (int)read(c->fd, c->in + c->have, room);
    if (got > 0) {
      c->have += (size_t)got;
      continue;
    }
    if (c->ssl) return SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ;
    return got < 0 && errno == EAGAIN;
  }
}

static void options(int argc, char** argv) {
  static const struct option known[] = {{"port", 1, NULL, 'p'},        {"users", 1, NULL, 'u'},
                                        {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 't'},
                                        {"tls", 0, NULL, 'x'},         {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (c == 'p') o.port = (unsigned)number(optarg, "--port", 1, 65535);
    if (c == 'u') o.users = (unsigned)number(optarg, "--users", 1, 10000000);
    if (c == 'c') o.connections = (unsigned)number(optarg, "--connections", 1, 10000);
    if (c == 't') o.seconds = atof(optarg);
    if (c == 'x') o.tls = 1;
    if (c == '?') exit(2);
  }
  if (!o.port || !o.users || o.seconds <= 0) die("see the first lines of connections.c");
}

int main(int argc, char** argv) {
  options(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (o.tls) {
    context = SSL_CTX_new(TLS_client_method());
    if (!context) die("SSL_CTX_new failed");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  }
  struct conn* const conns = calloc(o.connections, sizeof *conns);
  if (!conns) die("out of memory");
  for (unsigned i = 0; i < o.connections; ++i) begin(&conns[i]);

  const uint64_t began = now_ns();
  const uint64_t last = began + (uint64_t)(o.seconds * 1e9);
  struct epoll_event events[256];
  unsigned open = o.connections;
  while (open > 0 && now_ns() < last + 5000000000u) {
    const int ready = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < ready; ++i) {
      struct conn* const c = events[i].data.ptr;
      if (go_on(c)) continue;
      end(c);
      if (now_ns() < last)
        begin(c);
      else
        --open;
    }
  }
  const double took = (double)(now_ns() - began) / 1e9;
  qsort(latencies, answered, sizeof *latencies, by_value);
  printf(
      "{\"answered\": %llu, \"failed\": %llu, \"resumed\": %llu, \"negotiated\": \"%s\", \"seconds\": %.6f, "
      "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
      (unsigned long long)answered, (unsigned long long)(failed + open), (unsigned long long)resumed,
      negotiated, took, quantile_us(latencies, answered, 0.5), quantile_us(latencies, answered, 0.99));
  return 0;
}
