#include "k8s/http_thread.hpp"

#include "base/log.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

namespace alcove::k8s {
namespace {

constexpr long kConnectMs = 5'000;
constexpr unsigned kSilentPeerMs = 30'000;  // what was sent and never acknowledged ends the connection
constexpr int kLongestRestMs = 60'000;
constexpr long kKeptConnections = 32;

// libcurl wants this once for each process, before any thread of ours uses it.
void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw std::runtime_error("libcurl does not start");
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

curl_blob blob(const std::string& text) {
  // CURL_BLOB_NOCOPY: HttpWay lives as long as the handles. libcurl does not write to it.
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
}

Errc code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::timeout;
    case CURLE_FILESIZE_EXCEEDED:
      return Errc::limit;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Errc::invalid;
    default:
      return Errc::unavailable;
  }
}

}  // namespace

class HttpThread::Work {
 public:
  explicit Work(HttpWay way) : way_(std::move(way)), multi_(curl_multi_init()) {
    if (!multi_) throw std::runtime_error("libcurl does not start");
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kKeptConnections);
    if (!way_.connect_to.empty())
      connect_to_.reset(curl_slist_append(nullptr, ("::" + way_.connect_to).c_str()));
  }

  // Any thread.
  void add(std::shared_ptr<HttpExchange> exchange) {
    {
      const std::lock_guard lock(mutex_);
      news_.push_back(std::move(exchange));
    }
    curl_multi_wakeup(multi_.get());
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    curl_multi_wakeup(multi_.get());
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = ending_ = true;
    }
    curl_multi_wakeup(multi_.get());
  }
  void run();

 private:
  struct Transfer {
    std::shared_ptr<HttpExchange> exchange;
    std::unique_ptr<CURL, FreeEasy> easy;
    std::unique_ptr<curl_slist, FreeList> headers;
    std::array<char, CURL_ERROR_SIZE> error{};
    bool too_long = false;
    std::size_t received = 0;
  };

  void take_news();
  void begin(std::shared_ptr<HttpExchange> exchange);
  void prepare(Transfer& transfer);
  void finish(CURL* easy, CURLcode code);
  static std::size_t on_body(char* data, std::size_t one, std::size_t size, void* transfer);
  static std::size_t on_header(char* data, std::size_t one, std::size_t size, void* transfer);
  static int on_socket(void*, curl_socket_t socket, curlsocktype);

  HttpWay way_;
  std::unique_ptr<curl_slist, FreeList> connect_to_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running_;
  std::unordered_map<HttpExchange*, CURL*> by_exchange_;
  std::deque<std::shared_ptr<HttpExchange>> waiting_;
  std::size_t calls_ = 0;  // running, not streamed

  std::mutex mutex_;
  std::vector<std::shared_ptr<HttpExchange>> news_;  // begun, cancelled, or to be read on
  bool closed_ = false;
  bool ending_ = false;
};

// What has been asked of us since the last look.
void HttpThread::Work::take_news() {
  std::vector<std::shared_ptr<HttpExchange>> news;
  bool closed = false;
  {
    const std::lock_guard lock(mutex_);
    news.swap(news_);
    closed = closed_;
  }
  for (std::shared_ptr<HttpExchange>& exchange : news) {
    const auto found = by_exchange_.find(exchange.get());
    if (found != by_exchange_.end()) {
      if (exchange->cancelled()) {
        finish(found->second, CURLE_ABORTED_BY_CALLBACK);
      } else if (exchange->wants_more()) {
        curl_easy_pause(found->second, CURLPAUSE_CONT);
      }
      continue;
    }
    // A wish about one that waits, or that is over by now, leaves nothing to do here.
    if (!exchange->taken()) waiting_.push_back(std::move(exchange));
  }
  if (closed) {
    while (!running_.empty()) finish(running_.begin()->first, CURLE_ABORTED_BY_CALLBACK);
  }
  std::deque<std::shared_ptr<HttpExchange>> rest;
  while (!waiting_.empty()) {
    std::shared_ptr<HttpExchange> next = std::move(waiting_.front());
    waiting_.pop_front();
    if (closed || next->cancelled()) {
      next->on_end(Error{Errc::cancelled, "the call was given up"}, std::nullopt);
    } else if (!next->order().stream && calls_ >= kCallsAtOnce) {
      rest.push_back(std::move(next));
    } else {
      begin(std::move(next));
    }
  }
  waiting_.swap(rest);
}

void HttpThread::Work::begin(std::shared_ptr<HttpExchange> exchange) {
  auto transfer = std::make_unique<Transfer>();
  transfer->exchange = std::move(exchange);
  transfer->easy.reset(curl_easy_init());
  if (!transfer->easy) {
    transfer->exchange->on_end(Error{Errc::internal, "libcurl gives no handle"}, std::nullopt);
    return;
  }
  prepare(*transfer);
  CURL* easy = transfer->easy.get();
  if (!transfer->exchange->order().stream) ++calls_;
  by_exchange_[transfer->exchange.get()] = easy;
  running_[easy] = std::move(transfer);
  curl_multi_add_handle(multi_.get(), easy);
}

void HttpThread::Work::prepare(Transfer& transfer) {
  CURL* easy = transfer.easy.get();
  const HttpOrder& order = transfer.exchange->order();
  const auto set = [easy](CURLoption option, auto value) { curl_easy_setopt(easy, option, value); };
  set(CURLOPT_URL, order.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_CUSTOMREQUEST, order.method.c_str());
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "alcove");
  set(CURLOPT_PROXY, way_.proxy.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  if (order.timeout > Millis{0}) set(CURLOPT_TIMEOUT_MS, static_cast<long>(order.timeout.count()));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 15L);
  set(CURLOPT_TCP_KEEPINTVL, 5L);
  set(CURLOPT_SOCKOPTFUNCTION, &Work::on_socket);
  set(CURLOPT_ERRORBUFFER, transfer.error.data());
  set(CURLOPT_WRITEFUNCTION, &Work::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_HEADERFUNCTION, &Work::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  if (!order.body.empty()) {
    set(CURLOPT_POSTFIELDS, order.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(order.body.size()));
  }
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : order.headers) headers = curl_slist_append(headers, header.c_str());
  transfer.headers.reset(headers);
  set(CURLOPT_HTTPHEADER, headers);

  const auto set_blob = [easy](CURLoption option, const std::string& text) {
    if (text.empty()) return;
    curl_blob value = blob(text);
    curl_easy_setopt(easy, option, &value);
  };
  set_blob(CURLOPT_CAINFO_BLOB, way_.tls.ca);
  set_blob(CURLOPT_SSLCERT_BLOB, way_.tls.certificate);
  set_blob(CURLOPT_SSLKEY_BLOB, way_.tls.key);
  set(CURLOPT_SSLCERTTYPE, "PEM");
  set(CURLOPT_SSLKEYTYPE, "PEM");
  set(CURLOPT_SSL_VERIFYPEER, way_.tls.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, way_.tls.verify ? 2L : 0L);
  if (connect_to_) set(CURLOPT_CONNECT_TO, connect_to_.get());
}

void HttpThread::Work::finish(CURL* easy, CURLcode code) {
  const auto found = running_.find(easy);
  if (found == running_.end()) return;
  std::unique_ptr<Transfer> transfer = std::move(found->second);
  running_.erase(found);
  by_exchange_.erase(transfer->exchange.get());
  if (!transfer->exchange->order().stream) --calls_;
  curl_multi_remove_handle(multi_.get(), easy);
  std::optional<Error> error;
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    error = Error{Errc::cancelled, "the call was given up"};
  } else if (transfer->too_long) {
    error = Error{Errc::limit, "the answer is too long"};
  } else if (code != CURLE_OK) {
    const std::string text = transfer->error[0] != '\0' ? transfer->error.data() : curl_easy_strerror(code);
    error = Error{code_of(code), text};
  }
  std::optional<Millis> retry_after;
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
    retry_after = Millis{static_cast<Millis::rep>(std::min<curl_off_t>(seconds, 86'400)) * 1000};
  transfer->exchange->on_end(std::move(error), retry_after);
}

std::size_t HttpThread::Work::on_body(char* data, std::size_t, std::size_t size, void* where) {
  auto& transfer = *static_cast<Transfer*>(where);
  if (!transfer.exchange->order().stream && transfer.received + size > HttpExchange::kMostWhole) {
    transfer.too_long = true;
    return 0;
  }
  if (!transfer.exchange->on_bytes(data, size)) return CURL_WRITEFUNC_PAUSE;
  transfer.received += size;
  return size;
}

// The empty line ends a head. An interim one (100 Continue) is not the answer's.
std::size_t HttpThread::Work::on_header(char* data, std::size_t, std::size_t size, void* where) {
  auto& transfer = *static_cast<Transfer*>(where);
  const std::string_view line(data, size);
  if (line == "\r\n" || line == "\n") {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) transfer.exchange->on_head(static_cast<int>(status));
  }
  return size;
}

int HttpThread::Work::on_socket(void*, curl_socket_t socket, curlsocktype) {
  const unsigned most = kSilentPeerMs;
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &most, sizeof most);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return CURL_SOCKOPT_OK;
}

void HttpThread::Work::run() {
  for (;;) {
    take_news();
    {
      const std::lock_guard lock(mutex_);
      if (ending_ && running_.empty() && news_.empty()) return;
    }
    int still_running = 0;
    curl_multi_perform(multi_.get(), &still_running);
    int left = 0;
    bool finished = false;
    while (CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      finish(message->easy_handle, message->data.result);
      finished = true;
    }
    // A place may have become free for one that waits.
    if (finished && !waiting_.empty()) continue;
    curl_multi_poll(multi_.get(), nullptr, 0, kLongestRestMs, nullptr);
  }
}

HttpThread::HttpThread(Executor executor, HttpWay way) : executor_(executor) {
  start_curl();
  work_ = std::make_shared<Work>(std::move(way));
  thread_ = std::thread([work = work_] { work->run(); });
}

HttpThread::~HttpThread() {
  work_->end();
  thread_.join();
}

std::shared_ptr<HttpExchange> HttpThread::begin(HttpOrder order) {
  auto exchange = std::make_shared<HttpExchange>(executor_, std::move(order));
  exchange->on_wish([work = std::weak_ptr(work_), self = std::weak_ptr(exchange)] {
    const auto to = work.lock();
    const auto what = self.lock();
    if (to && what) to->add(what);
  });
  work_->add(exchange);
  return exchange;
}

void HttpThread::close() {
  work_->close();
}

}  // namespace alcove::k8s
