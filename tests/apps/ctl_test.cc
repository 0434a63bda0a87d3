// SPDX-License-Identifier: MIT
// The command as users meet it: exit codes, output and messages of the verbs without a daemon.
// argv[1] is the program.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/wait.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/manifest_world.h"

namespace portcullis {
namespace {

std::string program;

struct Outcome {
  int code = -1;
  std::string out;  // Standard output and standard error, as they came.
};

Outcome run(const std::string& arguments) {
  Outcome outcome;
  FILE* pipe = ::popen(fmt::format("{} {} 2>&1", program, arguments).c_str(), "r");
  std::array<char, 4096> chunk{};
  for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    outcome.out.append(chunk.data(), got);
  }
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

/// A folder of files that goes away with the test.
class Ctl : public testing::Test {
 protected:
  Ctl() {
    std::string pattern = (std::filesystem::temp_directory_path() / "portcullis-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    write("cluster.yaml", test::kTwoNamespaces);
    write("policy.yaml", test::policy_in_x("web", R"(  podSelector: {matchLabels: {app: b}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{port: http}])"));
  }
  ~Ctl() override { std::filesystem::remove_all(folder_); }

  /// The path of a file with this text.
  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  [[nodiscard]] std::string manifests() const {
    return fmt::format("--manifests {0}/cluster.yaml --manifests {0}/policy.yaml",
                       folder_.string());
  }

  std::filesystem::path folder_;
};

bool has(const Outcome& outcome, std::string_view text) {
  return outcome.out.find(text) != std::string::npos;
}

TEST_F(Ctl, ValidatePrintsTheSummaryAndPasses) {
  const Outcome got = run("validate " + manifests());
  EXPECT_EQ(got.code, 0) << got.out;
  EXPECT_EQ(got.out, "1 policy, 5 pods, 2 namespaces, 2 nodes; 0 errors, 0 warnings\n");
}

TEST_F(Ctl, ValidatePrintsEveryErrorAndFailsWithTwo) {
  const std::string bad = write(
      "bad.yaml", test::policy_in_x("bad", "  podSelektor: {}\n  ingress: [{ports: [{port: 0}]}]"));
  const Outcome text = run("validate --manifests " + bad);
  EXPECT_EQ(text.code, 2);
  EXPECT_TRUE(has(text, "podSelektor")) << text.out;
  EXPECT_TRUE(has(text, "spec.ingress[0].ports[0].port")) << text.out;
  EXPECT_TRUE(has(text, "2 errors")) << text.out;
  const Outcome json = run("validate -o json --manifests " + bad);
  EXPECT_EQ(json.code, 2);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["ok"], false);
  EXPECT_EQ(parsed["diagnostics"].size(), 2U);
  EXPECT_EQ(parsed["diagnostics"][0]["file"], bad);
}

TEST_F(Ctl, ValidateFindsWhatOnlyTheWholeShows) {
  const std::string twin =
      write("twin.yaml",
            "{apiVersion: v1, kind: Pod, metadata: {name: twin, namespace: x}, spec: {containers: "
            "[{name: m, image: i}]}, status: {phase: Running, podIP: 10.0.0.1}}\n");
  const Outcome got = run("validate " + manifests() + " --manifests " + twin);
  EXPECT_EQ(got.code, 2);
  EXPECT_TRUE(has(got, "address 10.0.0.1 is claimed by pod x/a")) << got.out;
  EXPECT_TRUE(has(got, twin + ":1")) << got.out;
}

TEST_F(Ctl, ValidateSaysWhichPathIsMissing) {
  const Outcome got = run("validate --manifests /no/such/path");
  EXPECT_EQ(got.code, 2);
  EXPECT_TRUE(has(got, "/no/such/path: error: cannot open")) << got.out;
}

TEST_F(Ctl, TestPassesFailsAndRefuses) {
  const std::string pass = write("pass.tsv",
                                 "x/a\tx/b\tTCP\t8080\tallow\nx/c\tx/b\tTCP\t8080\tdeny\n"
                                 "fd00::1\tx/b\tTCP\t8080\tallow\nx/a\tx/b\tICMP\t-\tdeny\n");
  const Outcome passed = run("test " + manifests() + " --expect " + pass);
  EXPECT_EQ(passed.code, 0);
  EXPECT_EQ(passed.out, "4 passed, 0 failed\n");

  const std::string fail = write("fail.yaml",
                                 "- {name: wrong, src: x/a, dst: x/b, proto: TCP, port: 80, "
                                 "expected: allow}\n");
  const Outcome failed = run("test " + manifests() + " --expect " + fail);
  EXPECT_EQ(failed.code, 1);
  EXPECT_TRUE(has(failed, "wrong: x/a -> x/b TCP 80: expected allow, got deny\n")) << failed.out;
  EXPECT_TRUE(has(failed, "nearest miss: NetworkPolicy x/web rule 1")) << failed.out;
  EXPECT_TRUE(has(failed, "allows from x/a on TCP 8080, not on TCP 80\n")) << failed.out;
  EXPECT_TRUE(has(failed, "0 passed, 1 failed\n"));

  const std::string bad = write("bad.tsv", "x/a x/b TCP 80 allow\nx/zzz\tx/b\tTCP\t80\tallow\n");
  const Outcome refused = run("test " + manifests() + " --expect " + bad);
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(has(refused, bad + ":1: error:")) << refused.out;
  EXPECT_TRUE(has(refused, bad + ":2: error: there is no pod x/zzz")) << refused.out;
  EXPECT_EQ(run("test " + manifests() + " --expect /no/such").code, 2);
}

TEST_F(Ctl, TestHonoursTheDefaultMode) {
  const std::string probe = write("p.tsv", "z/a\tz/b\tTCP\t1\tallow\n");
  EXPECT_EQ(run("test " + manifests() + " --expect " + probe).code, 0);
  const Outcome deny = run("test --default deny " + manifests() + " --expect " + probe);
  EXPECT_EQ(deny.code, 1);
  EXPECT_TRUE(has(deny, "the default mode is deny")) << deny.out;
  EXPECT_EQ(run("test --default maybe " + manifests() + " --expect " + probe).code, 2);
}

TEST_F(Ctl, ExplainAnswersInTextJsonAndExitCode) {
  const Outcome allowed = run("explain " + manifests() + " --from x/a --to x/b --port 8080");
  EXPECT_EQ(allowed.code, 0);
  EXPECT_TRUE(has(allowed, "ALLOWED: x/a (10.0.0.1) -> x/b (10.0.0.2), TCP 8080\n")) << allowed.out;
  EXPECT_TRUE(has(allowed, "ALLOW: NetworkPolicy x/web rule 1 (")) << allowed.out;
  const Outcome denied =
      run("explain -o json " + manifests() + " --from 8.8.8.8 --to x/b --protocol udp --port 53");
  EXPECT_EQ(denied.code, 1);
  const auto json = nlohmann::json::parse(denied.out);
  EXPECT_EQ(json["verdict"], "denied");
  EXPECT_EQ(json["ingress"]["decided_by"]["policy"], "x/web");
  EXPECT_EQ(run("explain " + manifests() + " --from x/a --to x/b --protocol ICMP").code, 1);
}

TEST_F(Ctl, ExplainRefusesWhatItCannotAsk) {
  const auto code = [&](const std::string& arguments) {
    return run("explain " + manifests() + " " + arguments).code;
  };
  EXPECT_EQ(code("--from x/a --to x/nobody --port 1"), 2);
  EXPECT_EQ(code("--from x/a --to x/b"), 2);
  EXPECT_EQ(code("--from x/a --to x/b --port 70000"), 2);
  EXPECT_EQ(code("--from x/a --to x/b --port 1 --protocol GRE"), 2);
  EXPECT_EQ(code("--from x/a"), 2);
}

TEST_F(Ctl, TableDumpSaysWhereTheBytesGo) {
  const Outcome text = run("table dump " + manifests());
  EXPECT_EQ(text.code, 0);
  EXPECT_TRUE(has(text, "PART ")) << text.out;
  const Outcome json = run("table dump -o json " + manifests());
  EXPECT_EQ(json.code, 0);
  EXPECT_GT(nlohmann::json::parse(json.out)["bytes"], 0);
  EXPECT_EQ(run("table").code, 2);
  EXPECT_EQ(run("table dump --manifests /nowhere").code, 2);
}

TEST_F(Ctl, ConntrackRefusesWhatItCannotAskWithoutADaemon) {
  EXPECT_EQ(run("conntrack").code, 2);
  EXPECT_EQ(run("conntrack list --port 70000").code, 2);
  EXPECT_EQ(run("conntrack list --limit 0").code, 2);
  EXPECT_EQ(run("conntrack stats --all").code, 2);
  // A script's unset variable must not widen a flush.
  for (const char* option : {"--from", "--to", "--address", "--protocol", "--state", "--port"}) {
    const Outcome got = run(fmt::format("conntrack flush {} '' -s /nowhere", option));
    EXPECT_EQ(got.code, 2);
    EXPECT_TRUE(has(got, option)) << got.out;
  }
  const Outcome asked = run("conntrack flush --protocol udp --state Opening -s /nowhere");
  EXPECT_EQ(asked.code, 2);
  EXPECT_TRUE(has(asked, "no daemon listens on /nowhere")) << asked.out;
}

TEST_F(Ctl, StatusRefusesWhatItCannotWaitFor) {
  for (const char* condition : {"revision", "revision=", "revision=0", "revision=7x", "pods=3"}) {
    const Outcome got = run(fmt::format("status -s /no/such.sock --wait {}", condition));
    EXPECT_EQ(got.code, 2) << condition;
    EXPECT_TRUE(has(got, "is no revision=N, as in revision=7")) << got.out;
  }
  const Outcome none = run("status -s /no/such.sock --wait revision=7 --timeout 1s");
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(has(none, "no daemon listens on /no/such.sock")) << none.out;
  EXPECT_TRUE(has(run("status --timeout 2y"), "unit not recognized"));
  EXPECT_TRUE(has(run("status --help"), "--wait revision=7 --timeout 30s"));
}

TEST_F(Ctl, IsaForcesAKernel) {
  EXPECT_EQ(run("--isa scalar validate " + manifests()).code, 0);
  const Outcome unknown = run("--isa mmx validate " + manifests());
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(has(unknown, "use scalar, avx2 or avx512")) << unknown.out;
}

TEST_F(Ctl, UnknownVerbsAreRefusedWithASuggestion) {
  const Outcome got = run("valdate");
  EXPECT_EQ(got.code, 2);
  EXPECT_TRUE(has(got, "no verb \"valdate\"; did you mean \"validate\"?")) << got.out;
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("--nonsense").code, 2);
}

TEST_F(Ctl, HelpTeachesWithExamples) {
  for (const char* verb :
       {"validate", "test", "explain", "conntrack list", "conntrack stats", "conntrack flush"}) {
    const Outcome got = run(std::string(verb) + " --help");
    EXPECT_EQ(got.code, 0);
    EXPECT_TRUE(has(got, "Examples:\n  portcullis ")) << got.out;
    EXPECT_TRUE(has(got, "Exit codes:")) << got.out;
  }
  EXPECT_EQ(run("--help").code, 0);
  const Outcome version = run("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("portcullis ", 0), 0U);
}

}  // namespace
}  // namespace portcullis

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: ctl_test PROGRAM\n");
    return 2;
  }
  portcullis::program = argv[1];
  return RUN_ALL_TESTS();
}
