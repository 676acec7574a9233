// The one translation unit in which Asio and Beast are compiled (*_SEPARATE_COMPILATION elsewhere).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
