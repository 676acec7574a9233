#include "lifecycle/metrics.hpp"

#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace alcove {
namespace {

TEST(LifecycleMetrics, are_shown_by_name_with_their_labels) {
  const auto metrics = std::make_shared<LifecycleMetrics>();
  metrics->starts[static_cast<std::size_t>(StartOutcome::failed)].add(2);
  metrics->evictions[static_cast<std::size_t>(EndCause::idle)].add();
  metrics->start_seconds[static_cast<std::size_t>(StartPhase::ready)].observe(Millis{300});
  metrics->start_seconds[static_cast<std::size_t>(StartPhase::ready)].observe(Millis{90'000});
  const std::string text = prometheus::TextSerializer{}.Serialize(collect_lifecycle(metrics)->Collect());
  for (const char* line :
       {"alcove_starts_total{outcome=\"failed\"} 2", "alcove_evictions_total{cause=\"idle\"} 1",
        "alcove_start_seconds_bucket{phase=\"ready\",le=\"0.25\"} 0",
        "alcove_start_seconds_bucket{phase=\"ready\",le=\"0.5\"} 1",
        "alcove_start_seconds_bucket{phase=\"ready\",le=\"+Inf\"} 2",
        "alcove_start_seconds_count{phase=\"ready\"} 2", "alcove_rescues_total 0"})
    EXPECT_NE(text.find(line), std::string::npos) << line << " is not in\n" << text;
}

}  // namespace
}  // namespace alcove
