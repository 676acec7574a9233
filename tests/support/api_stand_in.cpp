#include "tests/support/api_stand_in.hpp"

#include "base/text.hpp"
#include "tests/support/exec_stand_in.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <fmt/format.h>

#include <sys/socket.h>

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <unordered_set>
#include <variant>

namespace alcove::test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Plain = PlainStream;
using Secure = SecureStream;
constexpr auto kLongest = std::chrono::seconds(60);

Query parse_query(std::string_view text) {
  Query out;
  while (!text.empty()) {
    const std::size_t amp = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, amp);
    text.remove_prefix(std::min(amp + 1, text.size()));
    const std::size_t equal = std::min(pair.find('='), pair.size());
    std::string value;
    percent_decode(pair.substr(std::min(equal + 1, pair.size())), value);
    out[std::string(pair.substr(0, equal))] = value;
  }
  return out;
}

// /api/v1/namespaces/NS/KIND[/NAME[/log|/exec]]
struct Place {
  ApiCollection in;
  std::string name;
  std::string sub;
};
std::optional<Place> place_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t slash = std::min(path.find('/'), path.size());
    std::string part;
    percent_decode(path.substr(0, slash), part);
    parts.push_back(part);
    path.remove_prefix(slash);
  }
  if (parts.size() < 5 || parts.size() > 7 || parts[0] != "api" || parts[1] != "v1" ||
      parts[2] != "namespaces")
    return std::nullopt;
  const std::string& kind = parts[4];
  if (kind != "pods" && kind != "configmaps" && kind != "persistentvolumeclaims" && kind != "events")
    return std::nullopt;
  Place out{{kind, parts[3]}, parts.size() > 5 ? parts[5] : "", parts.size() > 6 ? parts[6] : ""};
  const bool known = out.sub.empty() || out.sub == "log" || out.sub == "exec";
  if (!known || (!out.sub.empty() && kind != "pods")) return std::nullopt;
  return out;
}

struct PodLog {
  std::string text;
  bool ended = false;
};

}  // namespace

struct ApiStandIn::State {
  ApiStandInOptions options;
  asio::io_context io;
  Tcp::acceptor acceptor{io, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  asio::ssl::context tls{asio::ssl::context::tls_server};
  TestCertificates certificates;

  std::mutex mutex;
  std::condition_variable changed;
  bool ending = false;
  bool hanging = false;
  std::string token;
  int faults = 0;
  Fault fault;
  std::uint64_t watch_end = 0;  // counts up: watches that began before it end
  bool watch_cut = false;
  std::vector<ApiRequest> requests;
  std::size_t watches = 0;
  std::map<std::string, PodLog> logs;
  std::unordered_set<int> sockets;
  std::list<std::thread> threads;
  std::vector<std::weak_ptr<asio::io_context>> of_threads;
};

// One client's connection, on a thread of its own.
class ApiStandIn::Connection {
 public:
  Connection(State& state, ApiObjects& objects, asio::io_context& io, Tcp::socket socket)
      : state_(state), objects_(objects), io_(io), descriptor_(socket.native_handle()) {
    if (state.options.tls)
      stream_.emplace<Secure>(std::move(socket), state.tls);
    else
      stream_.emplace<Plain>(std::move(socket));
  }

  void run() {
    {
      const std::lock_guard lock(state_.mutex);
      if (state_.ending) return;
      state_.sockets.insert(descriptor_);
    }
    boost::system::error_code ec;
    if (auto* secure = std::get_if<Secure>(&stream_)) secure->handshake(asio::ssl::stream_base::server, ec);
    while (!ec && serve()) {
    }
    const std::lock_guard lock(state_.mutex);
    state_.sockets.erase(descriptor_);
  }

 private:
  template <class Message>
  bool write(Message& message) {
    boost::system::error_code ec;
    std::visit(
        [&](auto& stream) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(stream)>, std::monostate>)
            http::write(stream, message, ec);
        },
        stream_);
    return !ec;
  }
  bool write_bytes(const std::string& bytes) {
    boost::system::error_code ec;
    std::visit(
        [&](auto& stream) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(stream)>, std::monostate>)
            asio::write(stream, asio::buffer(bytes), ec);
        },
        stream_);
    return !ec;
  }
  bool write_chunk(const std::string& text) {
    return write_bytes(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
  }
  bool answer(const ApiAnswer& what, const std::string& retry_after = {}) {
    return send(what.status, "application/json", what.body.dump(), retry_after);
  }
  bool send(int status, const std::string& type, const std::string& body,
            const std::string& retry_after = {}) {
    http::response<http::string_body> response(static_cast<http::status>(status), 11);
    if (!type.empty()) response.set(http::field::content_type, type);
    if (!retry_after.empty()) response.set(http::field::retry_after, retry_after);
    response.body() = body;
    response.prepare_payload();
    return write(response);
  }

  // One request. False: the connection ends.
  bool serve() {
    http::request<http::string_body> request;
    boost::system::error_code ec;
    std::visit(
        [&](auto& stream) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(stream)>, std::monostate>)
            http::read(stream, buffer_, request, ec);
        },
        stream_);
    if (ec) return false;
    ApiRequest seen;
    seen.method = std::string(request.method_string());
    const std::string target(request.target());
    const std::size_t mark = std::min(target.find('?'), target.size());
    seen.path = target.substr(0, mark);
    seen.query = parse_query(std::string_view(target).substr(std::min(mark + 1, target.size())));
    seen.content_type = std::string(request[http::field::content_type]);
    seen.authorization = std::string(request[http::field::authorization]);
    seen.body = request.body();
    std::optional<Fault> fault;
    {
      std::unique_lock lock(state_.mutex);
      state_.requests.push_back(seen);
      state_.changed.notify_all();
      state_.changed.wait(lock, [&] { return !state_.hanging || state_.ending; });
      if (state_.ending) return false;
      if (state_.faults > 0 &&
          (state_.fault.only_method.empty() || state_.fault.only_method == seen.method)) {
        --state_.faults;
        fault = state_.fault;
      }
    }
    if (fault) {
      if (fault->status == 0) return false;
      if (!fault->body.empty()) return send(fault->status, "text/plain", fault->body, fault->retry_after);
      return answer(status_answer(fault->status, fault->reason, "this was wished by a test"),
                    fault->retry_after);
    }
    if (auto refused = refuse_stranger(seen)) return answer(*refused);
    if (const std::optional<Place> place = place_of(seen.path); place && place->sub == "exec")
      return exec(*place, request);
    return route(seen);
  }

  // The connection is the command's from then on.
  bool exec(const Place& place, const ExecRequest& request) {
    ExecOrder order;
    if (const auto refused = exec_refused(request, place.name, objects_.find(place.in, place.name),
                                          state_.options.exec_v5, order))
      return send(refused->status, refused->type, refused->body);
    std::visit(
        [&](auto& stream) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(stream)>, std::monostate>)
            run_exec(io_, stream, request, order);
        },
        stream_);
    return false;
  }

  std::optional<ApiAnswer> refuse_stranger(const ApiRequest& seen) {
    if (state_.options.tls) return std::nullopt;  // its certificate was asked for
    const std::lock_guard lock(state_.mutex);
    if (state_.token.empty() || seen.authorization == "Bearer " + state_.token) return std::nullopt;
    if (seen.authorization.empty())
      return status_answer(403, "Forbidden", "User \"system:anonymous\" cannot do this");
    return status_answer(401, "Unauthorized", "Unauthorized");
  }

  bool route(const ApiRequest& seen) {
    const std::optional<Place> place = place_of(seen.path);
    if (!place) return send(404, "text/plain", "404 page not found\n");
    if (place->sub == "log") return log(*place, seen.query);
    const bool whole = place->name.empty();
    if (seen.method == "GET" && whole && seen.query.contains("watch")) return watch(*place, seen.query);
    if (seen.method == "GET")
      return answer(whole ? objects_.list(place->in, seen.query) : objects_.get(place->in, place->name));
    if (seen.method == "POST" && whole) {
      if (seen.content_type != "application/json")
        return answer(status_answer(415, "UnsupportedMediaType", "unknown format: " + seen.content_type));
      return answer(objects_.create(place->in, seen.body, seen.query));
    }
    if (seen.method == "PATCH" && !whole)
      return answer(objects_.patch(place->in, place->name, seen.content_type, seen.body));
    if (seen.method == "DELETE" && !whole) return answer(objects_.remove(place->in, place->name, seen.body));
    return answer(
        status_answer(405, "MethodNotAllowed", "the server does not allow this method on the resource"));
  }

  bool watch(const Place& place, const Query& query) {
    if (auto refused = ApiObjects::watch_refused(query)) return answer(*refused);
    const auto at = [&](const char* key) {
      const auto found = query.find(key);
      return found == query.end() ? 0ULL : std::stoull(found->second);
    };
    std::uint64_t after = at("resourceVersion");
    const SteadyTime deadline =
        SteadyClock::now() +
        (at("timeoutSeconds") > 0 ? std::chrono::seconds(at("timeoutSeconds")) : kLongest);
    std::uint64_t began = 0;
    {
      const std::lock_guard lock(state_.mutex);
      began = state_.watch_end;
      ++state_.watches;
    }
    const bool good =
        write_bytes(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n") &&
        follow(place, query, after, deadline, began);
    const std::lock_guard lock(state_.mutex);
    --state_.watches;
    return good;
  }

  bool follow(const Place& place, const Query& query, std::uint64_t after, SteadyTime deadline,
              std::uint64_t began) {
    if (const std::optional<Json> error = objects_.too_old(after))
      return write_chunk(error->dump() + "\n") && write_bytes("0\r\n\r\n");
    const std::uint64_t first = after;
    for (;;) {
      const std::uint64_t wakes = objects_.wakes();  // before looking whether the watch is to end
      bool asked = false;
      {
        const std::lock_guard lock(state_.mutex);
        asked = state_.watch_end != began;
        if (state_.ending || (asked && state_.watch_cut)) return false;
      }
      const bool over = asked || SteadyClock::now() >= deadline;
      const SteadyTime until = over ? SteadyTime{} : deadline;
      for (const Json& line : objects_.watch(place.in, query, after, until, wakes))
        if (!write_chunk(line.dump() + "\n")) return false;
      if (!over) continue;
      const Json bookmark{{"type", "BOOKMARK"},
                          {"object",
                           {{"kind", "Pod"},
                            {"apiVersion", "v1"},
                            {"metadata", {{"resourceVersion", std::to_string(after)}}}}}};
      const bool news = after > first;  // no bookmark says what is known
      if (news && query.contains("allowWatchBookmarks") && !write_chunk(bookmark.dump() + "\n")) return false;
      return write_bytes("0\r\n\r\n");
    }
  }

  bool log(const Place& place, const Query& query) {
    const std::optional<Json> pod = objects_.find(place.in, place.name);
    if (!pod) return answer(status_answer(404, "NotFound", "pods \"" + place.name + "\" not found"));
    if (k8s::text_at(*pod, {"status", "phase"}) == "Pending")
      return answer(status_answer(400, "BadRequest",
                                  "container \"app\" in pod \"" + place.name +
                                      "\" is waiting to start: "
                                      "ContainerCreating"));
    std::unique_lock lock(state_.mutex);
    PodLog& kept = state_.logs[place.name];
    if (!query.contains("follow")) {
      const std::string text = kept.text;
      lock.unlock();
      return send(200, "text/plain", tail(text, query));
    }
    lock.unlock();
    if (!write_bytes("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"))
      return false;
    std::size_t at = 0;
    lock.lock();
    for (;;) {
      state_.changed.wait(lock, [&] { return state_.ending || kept.text.size() > at || kept.ended; });
      if (state_.ending) return false;
      const std::string more = kept.text.substr(at);
      if (more.empty()) break;
      at += more.size();
      lock.unlock();
      if (!write_chunk(more)) return false;
      lock.lock();
    }
    lock.unlock();
    return write_bytes("0\r\n\r\n");
  }

  static std::string tail(const std::string& text, const Query& query) {
    const auto lines = query.find("tailLines");
    if (lines == query.end()) return text;
    int left = std::stoi(lines->second);
    std::size_t at = text.size();
    while (at > 0) {
      if (text[at - 1] == '\n' && at != text.size() && --left == 0) break;
      --at;
    }
    return text.substr(at);
  }

  State& state_;
  ApiObjects& objects_;
  asio::io_context& io_;  // this connection's own: nobody else runs it
  int descriptor_;
  std::variant<std::monostate, Plain, Secure> stream_;
  boost::beast::flat_buffer buffer_;
};

ApiStandIn::ApiStandIn(ApiStandInOptions options) : state_(std::make_shared<State>()) {
  state_->options = std::move(options);
  state_->token = state_->options.token;
  if (state_->options.tls) {
    state_->certificates = make_test_certificates(state_->options.intermediate_ca);
    const TestCertificates& made = state_->certificates;
    state_->tls.use_certificate_chain(asio::buffer(made.server));
    state_->tls.use_private_key(asio::buffer(made.server_key), asio::ssl::context::pem);
    state_->tls.add_certificate_authority(asio::buffer(made.ca));
    X509_STORE_set_flags(SSL_CTX_get_cert_store(state_->tls.native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
    state_->tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
  acceptor_ = std::thread([this] { accept(); });
}

ApiStandIn::~ApiStandIn() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    for (const int descriptor : state_->sockets) ::shutdown(descriptor, SHUT_RDWR);
    // Commands whose client has gone wait for nothing of the connection.
    for (const auto& weak : state_->of_threads)
      if (const auto io = weak.lock()) io->stop();
  }
  ::shutdown(state_->acceptor.native_handle(), SHUT_RDWR);
  acceptor_.join();
  state_->changed.notify_all();
  objects_.wake_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void ApiStandIn::accept() {
  for (;;) {
    boost::system::error_code ec;
    auto io = std::make_shared<asio::io_context>(1);
    Tcp::socket socket = state_->acceptor.accept(*io, ec);
    const std::lock_guard lock(state_->mutex);
    if (ec || state_->ending) return;
    state_->of_threads.push_back(io);
    state_->threads.emplace_back([this, io, moved = std::make_shared<Tcp::socket>(std::move(socket))] {
      Connection connection(*state_, objects_, *io, std::move(*moved));
      connection.run();
    });
  }
}

k8s::ClusterAccess ApiStandIn::access() const {
  k8s::ClusterAccess out;
  out.server = fmt::format("{}://127.0.0.1:{}", state_->options.tls ? "https" : "http",
                           state_->acceptor.local_endpoint().port());
  if (state_->options.tls) {
    out.ca = state_->certificates.ca;
    out.certificate = state_->certificates.client;
    out.key = state_->certificates.client_key;
  } else {
    out.token = state_->options.token;
  }
  return out;
}

void ApiStandIn::fail_next(int count, Fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults = count;
  state_->fault = std::move(fault);
}

void ApiStandIn::set_token(std::string token) {
  const std::lock_guard lock(state_->mutex);
  state_->token = std::move(token);
}

void ApiStandIn::hang(bool hanging) {
  const std::lock_guard lock(state_->mutex);
  state_->hanging = hanging;
  state_->changed.notify_all();
}

void ApiStandIn::cut_watches() {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->watch_end;
    state_->watch_cut = true;
  }
  objects_.wake_all();
}

void ApiStandIn::end_watches() {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->watch_end;
    state_->watch_cut = false;
  }
  objects_.wake_all();
}

void ApiStandIn::write_log(const std::string& pod, const std::string& text) {
  const std::lock_guard lock(state_->mutex);
  state_->logs[pod].text += text;
  state_->changed.notify_all();
}

void ApiStandIn::end_log(const std::string& pod) {
  const std::lock_guard lock(state_->mutex);
  state_->logs[pod].ended = true;
  state_->changed.notify_all();
}

std::vector<ApiRequest> ApiStandIn::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests;
}

std::size_t ApiStandIn::count(const std::string& method) const {
  const std::lock_guard lock(state_->mutex);
  std::size_t n = 0;
  for (const ApiRequest& request : state_->requests) n += request.method == method ? 1 : 0;
  return n;
}

std::size_t ApiStandIn::open_watches() const {
  const std::lock_guard lock(state_->mutex);
  return state_->watches;
}

}  // namespace alcove::test
