// The floor: what it costs to pass a request on and its answer back when nobody looks at them. One thread,
// one epoll, edge-triggered; a request costs two reads and two writes and its share of an epoll_wait. It
// parses nothing, keeps no time, counts nothing, has no limits: a message is what one read brings, so it is
// good for small requests and answers, one at a time on a connection, and for nothing else. It ends if a
// write would not fit.
//
//   relay PORT FIRST_ADDRESS COUNT BACKEND_PORT pairs|turns
//
//   pairs  each client connection has one backend connection of its own, to the next of the COUNT endpoints:
//          64 clients never use more than 64 of 1,000 endpoints. The least that can be done at all.
//   turns  COUNT backend connections are open, and each request goes to the next one that is free, whoever
//          sent it. Without a look at the request there is no "right" endpoint; but as many sockets are
//          touched, in as bad an order for the processor's caches, as by a proxy that routes 1,000 users to
//          1,000 endpoints. The fair floor for that.
#define _GNU_SOURCE
#include "load/net.h"

struct end {
  int fd;
  int is_client;
  struct end* to;  // pairs: the other side for good. turns: whose answer is awaited; NULL: free
};

static struct sockaddr_in backend_at(const char* first, unsigned count, unsigned port) {
  static unsigned next;
  return address_at(first, next++ % count, port);
}

static struct end* make_end(int fd, int is_client) {
  struct end* const made = calloc(1, sizeof *made);
  if (!made) die("out of memory");
  made->fd = fd;
  made->is_client = is_client;
  no_delay(fd);
  return made;
}

static struct end* dial(struct sockaddr_in to) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&to, sizeof to) != 0)
    die("cannot connect to %s: %s", inet_ntoa(to.sin_addr), strerror(errno));
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl: %s", strerror(errno));
  return make_end(fd, 0);
}

// Its memory stays: an event of the same round may still name it, and what is measured closes nothing.
static void close_end(struct end* one) {
  if (one->fd >= 0) close(one->fd);
  one->fd = -1;
}

int main(int argc, char** argv) {
  if (argc != 6) die("usage: relay PORT FIRST_ADDRESS COUNT BACKEND_PORT pairs|turns");
  const unsigned port = (unsigned)number(argv[1], "PORT", 1, 65535);
  const char* const first = argv[2];
  const unsigned count = (unsigned)number(argv[3], "COUNT", 1, 100000);
  const unsigned backend_port = (unsigned)number(argv[4], "BACKEND_PORT", 1, 65535);
  const int turns = strcmp(argv[5], "turns") == 0;
  if (!turns && strcmp(argv[5], "pairs") != 0) die("\"%s\": pairs or turns", argv[5]);

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct end** const ring = calloc(count, sizeof *ring);
  if (!ring) die("out of memory");
  unsigned next = 0;
  for (unsigned i = 0; turns && i < count; ++i) {
    ring[i] = dial(backend_at(first, count, backend_port));
    watch(epoll, EPOLL_CTL_ADD, ring[i]->fd, EPOLLIN | EPOLLET, ring[i]);
  }
  const int listener = listen_on(address_at("127.0.0.1", 0, port), SOCK_NONBLOCK);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);

  static char buffer[65536];
  struct epoll_event events[256];
  for (;;) {
    const int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      struct end* const one = events[i].data.ptr;
      if (!one) {
        const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) continue;
        struct end* const client = make_end(fd, 1);
        if (!turns) {
          client->to = dial(backend_at(first, count, backend_port));
          client->to->to = client;
          watch(epoll, EPOLL_CTL_ADD, client->to->fd, EPOLLIN | EPOLLET, client->to);
        }
        watch(epoll, EPOLL_CTL_ADD, client->fd, EPOLLIN | EPOLLET, client);
        continue;
      }
      if (one->fd < 0) continue;
      const ssize_t size = read(one->fd, buffer, sizeof buffer);
      if (size < 0 && errno == EAGAIN) continue;
      if (size <= 0) {
        if (turns && !one->is_client) die("a backend has closed its connection");
        close_end(one);
        if (one->to && !turns) close_end(one->to);
        continue;
      }
      struct end* to = one->to;
      if (turns && one->is_client) {
        for (unsigned tried = 0; ring[next]->to; next = (next + 1) % count)
          if (++tried > count) die("more requests at once than endpoints");
        to = ring[next];
        next = (next + 1) % count;
        to->to = one;
      } else if (turns) {
        one->to = NULL;
      }
      if (!to || to->fd < 0) continue;  // the client has left
      if (write(to->fd, buffer, (size_t)size) != size) die("a message did not fit into one write");
    }
  }
}
