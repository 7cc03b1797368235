#include "mongo/named_session.h"

#include "mongo/cursor.h"
#include "mongo/write_command.h"

namespace plm::mongo {

Uuid session_of(const Uuid& sessions, WriterNumber writer) {
  auto bytes = sessions.bytes();
  bytes[14] = static_cast<std::uint8_t>(writer >> 8);
  bytes[15] = static_cast<std::uint8_t>(writer);
  return Uuid(bytes);
}

Result<std::vector<WriterNumber>> known_writers(Connection& connection) {
  bson::Builder find;
  find.append("find", kSessions);
  std::vector<WriterNumber> out;
  auto read = read_all(connection, state_database(), find.view(), [&](bson::View document) {
    out.push_back(static_cast<WriterNumber>(document["_id"].as_int64()));
  });
  if (!read) return fail(read.error().within("looking for writers"));
  return out;
}

Status refresh_sessions(Connection& connection, const LeaseKey& key) {
  auto writers = known_writers(connection);
  if (!writers) return fail(std::move(writers.error()));
  writers->push_back(kStateWriter);
  bson::Builder command;
  {
    auto sessions = command.array("refreshSessions");
    for (const WriterNumber writer : *writers) {
      auto session = sessions.document();
      session_of(key.sessions, writer).append_to(*session, "id");
    }
  }
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error().within("refreshing sessions"));
  return {};
}

}  // namespace plm::mongo
