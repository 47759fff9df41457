/**
 * Every limit of the program that is not a kernel record's (those are in
 * bpf/event.h): its value, where the number comes from, and what happens at
 * it. Each one has a counter where it is enforced, or a mark in the event that it
 * shortens. What is only kept to save asking again is asked for again, uncounted.
 */
const KIB = 1024;
const MIB = 1024 * KIB;
const HUB_INSERTS_IN_FLIGHT = 2;

export const LIMITS = {
  /** All rings together; the collector has them mapped, so they count as its resident memory from the start. */
  ringBytes: 16 * MIB,
  /** Payload kept of one call; the rest is counted and the event marked. A 1 MiB write must be whole. */
  payloadBytesPerCall: 4 * MIB,
  /** Batches between the drain thread and JavaScript; beyond it the ring fills and the kernel counts. */
  addonQueuedBytes: 8 * MIB,

  /** A filter that people write is a line or two; longer ones, and deeper ones, are refused. */
  whereCharacters: 8192,
  whereDepth: 64,
  /** Events that one query reads for a filter of the API, and bytes of their data: the one that exceeds it is the last. */
  whereQueryRows: 500,
  whereQueryBytes: 16 * MIB,
  /** Events that one request looks at; a page that ends there is short, and says where to go on. */
  whereRequestRows: 20_000,
  /** Names to trace by, values of every other selector, and bytes of one: as the kernel's programs have it, bpf/shared.h. */
  selectedNames: 64,
  selectors: 16,
  selectorBytes: 255,
  /** Descriptors that can be chosen one by one, bpf/shared.h, and what can be kept of one call, native/capture.cc. */
  selectedFds: 1024,
  callBytesMax: 64 * MIB,
  /** Ports whose connections are taken for plain HTTP, bpf/shared.h. */
  plainPorts: 8,

  /** Processes known at once; the oldest is forgotten and counted. A busy build keeps some hundreds. */
  processes: 65_536,
  /** Ended processes whose name and session are still known: records of their children may come late. The oldest half is forgotten and counted. */
  exitedProcesses: 4096,
  /** Roots whose session is known; one per `--pid`, launched command and `--comm` match. */
  sessions: 4096,
  /** Processes above a root that are named; init systems and containers keep about ten. */
  ancestors: 64,
  /** Descriptors of one process whose target text is kept, at it they are asked for anew; and that are looked at for what they lead to. More are counted. */
  descriptorsPerProcess: 1024,
  /** Paths kept by inode, for processes that ended before their records were read; at it they are forgotten and counted: of a process that ended its inode is told then. */
  descriptorPaths: 4096,
  /** Ends of pipes, sockets and terminals with who is known to be there; the oldest is forgotten and counted. */
  peerEnds: 8192,
  /** Processes named at one end; the first are those that used it last. A pipe has one or two; more are counted. */
  peersPerEnd: 8,
  /** Processes that are asked what they have open, to find who is at an end: traced ones, and as many others. */
  peerProcesses: 256,
  /** Shells and libraries that are hooked for the lines they read; more are counted and not hooked. */
  readlineFiles: 64,
  /** Processes that are told to use io_uring; more are only counted. */
  ioUringProcesses: 4096,
  /** Processes that one look measures what they use: some 30 ms on a slow machine; more are counted. */
  sampledProcesses: 1024,
  /** Open files of one process whose path is kept; beyond it the oldest is only known by its inode, and counted. */
  namedFilesPerProcess: 4096,
  /** Operations on files of one second that are looked at for repeats; at it what is held is told early. */
  fileRepeats: 8192,
  /** Connections whose name and endpoint are kept between records, as many as the kernel keeps; at it the oldest is forgotten and counted. */
  connectionNames: 16_384,
  /** Sockets of which something must be remembered between records (names, the start of a greeting, what it asked for); the oldest is forgotten and counted. */
  netSockets: 16_384,
  /** Bytes of a ClientHello: one TLS record. Those with post-quantum keys have some 2 KiB. */
  helloBytes: 16 * KIB + 5,
  /** Addresses whose name is known from DNS answers and TLS greetings; the oldest is forgotten and counted. */
  addressNames: 8192,
  /** Answers of one DNS message that are told; more are counted. */
  dnsAnswers: 64,
  /**
   * Written bytes of rustls connections whose socket is not known yet, together, and how long each
   * waits: its send follows within microseconds, unless its socket's buffer is full.
   */
  joinHeldBytes: 4 * MIB,
  joinHeldMs: 1000,
  /** Files remembered as hooked, failed or without TLS; at it the oldest are looked at again. */
  tlsBinaries: 16_384,
  /** Uprobe attachments of one run: at about 6 a file, hundreds of copies of OpenSSL. */
  tlsProbes: 2048,
  /** Processes whose mappings wait to be looked at again; more are looked at only at exec. */
  tlsScans: 4096,
  /** How long the search of a program's code keeps the thread from the ring: at full load some megabytes arrive in it. */
  tlsSearchSliceMs: 8,
  /** A program with less code than this is not searched: the smallest libssl is three times as large. */
  tlsSearchCodeBytes: 128 * KIB,
  /** Searched files whose result is kept on disk, and the size of one; the oldest go first. */
  locatedFiles: 4096,
  locatedFileBytes: 256 * KIB,
  /** Rows of the TLS report at the end of a run. */
  tlsReportRows: 256,
  /** Connections of one process whose TLS no hook has seen yet, or whose socket is not known; more are counted. */
  tlsGreetings: 64,
  /** How long after its first greeting a process of which no plaintext came is told: a server may think for some seconds. */
  tlsUnseenMs: 5000,
  /** Files whose first bytes are judged, and so many first bytes of one direction that are no protocol make its place suspect. */
  tlsSuspectFiles: 1024,
  tlsSuspectStarts: 2,

  /** Connections with parser state; the longest idle one is dropped and counted. */
  connections: 4096,
  /** A connection with no byte for this long is flushed and forgotten. */
  connectionIdleMs: 10 * 60_000,
  /** Start line and headers of one message: nginx and Node accept far less. */
  httpHeadBytes: 256 * KIB,
  /** Body kept of one message; more is counted and the event marked. */
  httpBodyBytes: 8 * MIB,
  /** Body bytes kept over all connections, so that many streams cannot exceed the collector's memory. */
  httpBodyBytesTotal: 64 * MIB,
  /** Of a body that goes on, where `--raw` asks for all of it: what one event tells, and what is held of all such bodies. More bodies are counted, and their rest left out. */
  bodyPartBytes: 128 * KIB,
  bodyPartBytesTotal: 16 * MIB,
  /** Requests that wait for a response on one connection (pipelining); more mark the connection lost. */
  httpPendingPerConnection: 256,
  /** Responses of status 1xx kept of one exchange; servers send one or two. More are counted. */
  httpInterimResponses: 16,
  /** Streams in progress on one HTTP/2 connection: servers allow 100 to 250; at it the oldest is given up and counted. */
  http2Streams: 1024,
  /** Bytes in which the next frame is sought after a gap: three frames of the usual 16 KiB. Nobody reads what is before them. */
  http2SeekBytes: 64 * KIB,
  /** The same of a WebSocket, in each direction: a message that is longer, and not in one call, is lost before those after it are found. */
  websocketSeekBytes: 64 * KIB,
  /**
   * Header table of one direction, and of all: the usual one is 4 KiB, browsers ask for 64 KiB. Entries
   * beyond are forgotten, and fields that refer to them are null, and counted.
   */
  hpackTableBytes: 64 * KIB,
  hpackTableBytesTotal: 32 * MIB,
  /** Messages of one gRPC call that are read, in each direction, and fields of one message, nested ones included. */
  grpcMessages: 256,
  protobufFields: 1024,
  /** Messages in messages: deeper ones stay bytes, and are told as such. */
  protobufDepth: 8,
  /** The line that tells a chunk's size, its extensions included: Node allows 16 KiB. At it the exchange says so as its reason. */
  httpChunkLineBytes: 16 * KIB,
  /** The chunk that shows where a stream of events goes on after a gap: one has an event or a few. A longer one is not taken for it. */
  httpChunkSeekBytes: 64 * KIB,
  /**
   * Parts of a connection that wait for an earlier one: two threads of one program can
   * deliver out of order by a few records. Beyond either bound the missing bytes are a gap.
   */
  reorderParts: 32,
  reorderMs: 100,
  /** Chunks that `--raw` holds until their secrets are known; beyond it they are emitted withheld. */
  rawHeldBytes: 64 * MIB,
  /** Content codings one over another; two are an oddity already. */
  codingsPerBody: 4,
  /**
   * A body that is decoded to more than both of these is a bomb: text that is sent for its content shrinks to a 20th at most. Not more
   * than what is kept of a body, or that would end the decoding before anybody knows.
   */
  codingRatio: 256,
  codingOutputBytes: 8 * MIB,
  /** Memory of all decoders: a window each, of 32 KiB in gzip and of up to 16 MiB in brotli. */
  codingBytesTotal: 64 * MIB,
  /** Pipes and directions in which JSON-RPC is looked for; the longest unused is forgotten and counted. */
  mcpStreams: 4096,
  /** One JSON-RPC message; a tool may return a whole file. A longer one is passed over and counted. */
  mcpMessageBytes: 4 * MIB,
  /**
   * Lines of stdio that are not over; the oldest is forgotten and counted. Chunks that end in what may be the beginning of a
   * secret wait for what comes next: so many bytes of a line, and of all with what each chunk takes. At either they leave, masked from there on.
   */
  stdioOpenLines: 4096,
  stdioLineBytes: 64 * KIB,
  stdioHeldBytes: 16 * MIB,
  /**
   * How long they wait: for the rest of the first letters of a prefix shortly, as the page promises half a second in all. For that of what
   * is a key so far longer: a model streams one of 100 characters in some 30 pieces, 20 to 200 ms apart. At it the rest is masked as it comes, and counted where nothing would have been.
   */
  stdioHeldMs: 100,
  stdioKeyHeldMs: 5000,
  /** Names of secrets that one event lists; what is masked beyond that is counted. */
  eventSecrets: 32,
  /** Requests of one process without a reply so far; the oldest is told as aborted and counted. */
  mcpCallsPerProcess: 256,
  /** Pipes and directions of one process of which it is known who answers whom, two for each server; the longest unused is forgotten and counted. */
  mcpPipesPerProcess: 128,
  /** Characters kept of a call's parameters and of its result; more is marked. */
  mcpTextCharacters: 256 * KIB,
  /** One event of an SSE stream. */
  sseEventBytes: 1 * MIB,

  /** Events of one batch, and bytes of their payloads and bodies: the one that exceeds it is the batch's last. */
  batchEvents: 2000,
  batchBytes: 1 * MIB,
  /** How long an event may wait for its batch: the page promises half a second in all. */
  batchDelayMs: 100,
  /** Bytes a file sink may hold while the disk is slow; more is refused and counted. */
  fileQueuedBytes: 32 * MIB,
  /** A file sink whose write failed tries again this often; at close it has this long to write what it holds. */
  fileRetryMs: 1000,
  fileCloseMs: 10_000,
  /** Bytes that may wait for a slow terminal or pipe; more is refused and counted. At close it has this long. */
  consoleQueuedBytes: 8 * MIB,
  consoleCloseMs: 2000,
  /** One line of a capture: two bodies at their limit in base64, twice over. A longer one is left out. */
  replayLineBytes: 64 * MIB,
  /** Rotation of the JSONL file. */
  fileRotateBytes: 512 * MIB,
  fileRotateKeep: 5,
  /** Unacknowledged batches held in memory; more go to the spool on disk. */
  linkUnackedBytes: 16 * MIB,
  /** Batches under way to the hub: two it stores, two ready for it. What comes meanwhile waits here and is joined. */
  linkBatchesInFlight: 2 * HUB_INSERTS_IN_FLIGHT,
  /** A batch that waits for the hub takes later ones in up to this: an insert of 10,000 rows costs half as much a row as one of 2,000. */
  linkBatchBytes: 4 * MIB,
  /** Spool on disk while the hub cannot be reached; the oldest segment is dropped and counted. */
  spoolBytes: 1024 * MIB,
  /** One file of the spool: read back whole, deleted whole. */
  spoolSegmentBytes: 4 * MIB,
  /** Spools that dead collectors left behind, looked at in one run. */
  spoolLeftovers: 64,
  /** Waits between attempts to reach the hub: doubled from the first to the last, with jitter; the last one after a refusal. */
  linkRetryFirstMs: 100,
  linkRetryLastMs: 5000,
  linkRefusedRetryMs: 30_000,
  /** A hub that accepts the connection and says nothing for this long is given up. */
  linkWelcomeMs: 10_000,
  /** At close: how long acknowledgements are waited for while the hub is there, and while it is not. */
  linkCloseMs: 10_000,
  linkCloseUnreachableMs: 1500,
  /** And how long the delivery of what earlier runs left is waited for. */
  linkCloseLeftoversMs: 5000,
  linkStatsMs: 1000,
  /** Bytes handed to the socket ahead of what the hub has read. */
  linkSocketBytes: 2 * MIB,
  /** One frame of the link; a longer one ends the connection. */
  linkFrameBytes: 64 * MIB,

  /** Store: size and age, oldest partitions dropped first. */
  storeBytes: 5 * 1024 * MIB,
  storeDays: 14,
  /** Live stream: frames a second to one page, events in one frame, bytes queued for a slow page. */
  liveFramesPerSecond: 20,
  liveEventsPerFrame: 2000,
  liveQueuedBytes: 8 * MIB,
  /** Largest page of a REST list. */
  pageEvents: 5000,
  /** A part of the store larger than this share of storeBytes is not merged further, so that dropping the oldest one frees little. */
  storePartShare: 16,
  /** Inserts stop while the disk has less than this left: a full disk would also refuse the DROP that frees it. */
  storeFreeDiskBytes: 1024 * MIB,
  /** How often size and age of the store are checked. */
  storeRetainMs: 30_000,
  /** Batches that the store takes again with the same token: more than all collectors' unacknowledged ones together. */
  storeDeduplicationWindow: 10_000,
  /** Inserts of one collector that run at once; beyond it its socket is not read. */
  hubInsertsInFlight: HUB_INSERTS_IN_FLIGHT,
  /** Collectors at one hub, pages at one hub; more are refused. */
  hubCollectors: 64,
  livePages: 32,
  /** Bytes and events that the live stream parses in one tick for all pages. */
  liveParseBytes: 4 * MIB,
  /** A string of `data` in lists and in the live stream, in characters. */
  listStringCharacters: 2048,
  /** A row's `data` beyond this is cut inside the store: a page of 5000 rows stays under 40 MiB. */
  listRowBytes: 8 * KIB,
  /** One request's body to the embedded engine, after gzip. */
  engineBodyBytes: 128 * MIB,
  /** Requests that the embedded engine runs at once (one thread each) and that may wait for it. */
  engineConcurrency: 12,
  engineWaiting: 256,
  /** Memory of the embedded engine, over it a query fails with a typed error. */
  engineMemoryBytes: 2048 * MIB,
  /** Longest query for a page. */
  storeQuerySeconds: 60,
  /** The hub leaves this long after its last collector and page. */
  hubIdleMs: 10 * 60_000,
} as const;
