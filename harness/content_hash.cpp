#include "harness/content_hash.h"

#include <array>
#include <stdexcept>

#include <openssl/evp.h>

namespace moebench {

struct ContentHasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw std::logic_error("SHA-256 is not available in this libcrypto");
  }
}

ContentHasher::~ContentHasher() = default;

void ContentHasher::update(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string ContentHasher::finish() {
  std::array<unsigned char, 32> digest;
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string content_hash(std::string_view bytes) {
  ContentHasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

// nlohmann::json keeps object keys sorted, so dump() is canonical.
std::string content_hash(const nlohmann::json& json) { return content_hash(std::string_view(json.dump())); }

}  // namespace moebench
