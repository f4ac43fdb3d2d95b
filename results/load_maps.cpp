#include "results/load_maps.h"

#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace moebench {
namespace {

constexpr std::string_view kLayer = "expert_load/layer-", kExpert = "/expert-";
constexpr int kMost = 4096;  // layers, or experts of one: beyond is no model but a damaged name

// Column indices by layer and expert, of one setting of the task.
using LoadColumns = std::map<int, std::map<int, size_t>>;

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size() || number < 0 || number >= kMost) return std::nullopt;
  return number;
}

std::map<std::string, LoadColumns> load_columns(const Table& table) {
  std::map<std::string, LoadColumns> settings;
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    const std::string_view name = column.metric;
    const size_t split = name.find(kExpert);
    if (!name.starts_with(kLayer) || split == std::string_view::npos) continue;
    const auto layer = number_in(name.substr(kLayer.size(), split - kLayer.size()));
    const auto expert = number_in(name.substr(split + kExpert.size()));
    if (layer && expert) settings[column.task_options.dump() + column.identity.dump()][*layer][*expert] = index;
  }
  return settings;
}

// The experts of a layer are numbered without gaps; what is missing behind the last is none.
LoadMap::Layer layer_of(const Row& row, int number, const std::map<int, size_t>& experts) {
  LoadMap::Layer layer{.layer = number};
  for (const auto& [expert, column] : experts) {
    const Cell& cell = row.cells[column];
    if (cell.status != CellStatus::kValue || !std::isfinite(cell.value)) continue;
    layer.shares.resize(static_cast<size_t>(expert) + 1);
    layer.shares.back() = cell.value;
  }
  return layer;
}

LoadMap map_of(const Row& row, const LoadColumns& columns) {
  LoadMap map{
      .title = row.about.model + ", " + row_title(row) + ": expert load",
      .description =
          "Share of the tokens that visit each expert over the mean of its layer, mean over seeds. Even load is "
          "grey; a stroke crosses an expert that nobody visits."};
  for (const auto& [number, experts] : columns) {
    LoadMap::Layer layer = layer_of(row, number, experts);
    if (!layer.shares.empty()) map.layers.push_back(std::move(layer));
  }
  return map;
}

}  // namespace

std::vector<LoadMap> load_maps(const Table& table) {
  std::vector<LoadMap> maps;
  for (const auto& [setting, columns] : load_columns(table)) {
    for (const Row& row : table.rows) {
      if (row.kind == RowKind::kBound) continue;
      LoadMap map = map_of(row, columns);
      if (!map.layers.empty()) maps.push_back(std::move(map));
    }
  }
  return maps;
}

}  // namespace moebench
