// SPDX-License-Identifier: MIT
#include "native/elf_file.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <bitset>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "native/fd.h"

namespace agentsight {
namespace {

// Program headers we look at: a file that claims more is not one a loader would take.
constexpr size_t kMaxSegments = 256;
constexpr size_t kMaxNeeded = 1024;

struct ElfDeleter {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfDeleter>;

Error NotElf(const std::string& path, const std::string& cause) {
  return {"CAPTURE_UNREADABLE", "could not read " + path + ": " + cause};
}

Failure OpenFailure(const std::string& path, int number) {
  const std::string message = "could not open " + path + ": " + ErrnoText(number);
  if (number == ENOENT || number == ESRCH || number == ENOTDIR) return Error{"TARGET_NOT_FOUND", message};
  if (number == EACCES || number == EPERM) return Error{"PRIVILEGE_MISSING", message, "run as root"};
  return NotElf(path, ErrnoText(number));
}

std::vector<GElf_Phdr> ReadSegments(Elf* elf) {
  std::vector<GElf_Phdr> segments;
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return segments;
  for (size_t index = 0; index < count && index < kMaxSegments; index++) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(index), &segment) != nullptr) segments.push_back(segment);
  }
  return segments;
}

// Where in the file an address is. False when no segment holds it.
bool FileOffset(const std::vector<GElf_Phdr>& segments, uint64_t address, uint64_t* offset) {
  for (const GElf_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    if (address - segment.p_vaddr >= segment.p_filesz) continue;
    *offset = address - segment.p_vaddr + segment.p_offset;
    return true;
  }
  return false;
}

std::string ReadBuildId(Elf* elf, const std::vector<GElf_Phdr>& segments) {
  for (const GElf_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    Elf_Data* data = elf_getdata_rawchunk(elf, static_cast<int64_t>(segment.p_offset), segment.p_filesz,
                                          segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
    if (data == nullptr) continue;
    GElf_Nhdr note;
    size_t name_at = 0, text_at = 0, at = 0;
    while ((at = gelf_getnote(data, at, &note, &name_at, &text_at)) > 0) {
      const auto* bytes = static_cast<const uint8_t*>(data->d_buf);
      if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || memcmp(bytes + name_at, "GNU", 4) != 0) continue;
      std::string hex;
      for (size_t index = 0; index < note.n_descsz; index++) {
        constexpr char kDigits[] = "0123456789abcdef";
        hex.push_back(kDigits[bytes[text_at + index] >> 4]);
        hex.push_back(kDigits[bytes[text_at + index] & 15]);
      }
      return hex;
    }
  }
  return "";
}

void ReadDynamic(Elf* elf, Elf_Data* data, const GElf_Shdr& section, ElfInfo* info) {
  if (section.sh_entsize == 0) return;
  const size_t count = data->d_size / section.sh_entsize;
  for (size_t index = 0; index < count; index++) {
    GElf_Dyn entry;
    if (gelf_getdyn(data, static_cast<int>(index), &entry) == nullptr || entry.d_tag == DT_NULL) return;
    if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_RPATH && entry.d_tag != DT_RUNPATH) continue;
    const char* text = elf_strptr(elf, section.sh_link, entry.d_un.d_val);
    if (text == nullptr) continue;
    if (entry.d_tag == DT_RPATH) info->rpath = text;
    else if (entry.d_tag == DT_RUNPATH) info->runpath = text;
    else if (info->needed.size() < kMaxNeeded) info->needed.emplace_back(text);
  }
}

bool IsFunction(const GElf_Sym& symbol) {
  const unsigned type = GELF_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

void AddSymbol(ElfInfo* info, ElfSymbol symbol) {
  for (const ElfSymbol& known : info->symbols) {
    // A file has its exported functions in both tables.
    if (known.offset == symbol.offset && known.name == symbol.name) return;
  }
  info->symbols.push_back(std::move(symbol));
}

// A section's strings, only where they end as strings must: each one then ends in the section.
std::string_view ReadStrings(Elf* elf, const GElf_Shdr& section) {
  const Elf_Data* data = elf_getdata(elf_getscn(elf, section.sh_link), nullptr);
  if (data == nullptr || data->d_buf == nullptr || data->d_size == 0) return {};
  const std::string_view strings(static_cast<const char*>(data->d_buf), data->d_size);
  return strings.back() == '\0' ? strings : std::string_view();
}

void ReadSymbols(Elf* elf, Elf_Data* data, const GElf_Shdr& section, const std::vector<GElf_Phdr>& segments,
                 const Names& names, ElfInfo* info) {
  if (section.sh_entsize == 0 || names.empty()) return;
  const std::string_view strings = ReadStrings(elf, section);
  // Node exports 75,000 symbols: nearly all differ in their first byte from what we look for.
  std::bitset<256> firsts;
  for (const std::string& name : names) firsts.set(static_cast<uint8_t>(name[0]));
  const size_t count = data->d_size / section.sh_entsize;
  for (size_t index = 0; index < count; index++) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(index), &symbol) == nullptr) return;
    if (symbol.st_name >= strings.size() || !firsts.test(static_cast<uint8_t>(strings[symbol.st_name]))) continue;
    const std::string_view name = strings.data() + symbol.st_name;
    uint64_t offset = 0;
    if (!names.contains(name) || !IsFunction(symbol) || !FileOffset(segments, symbol.st_value, &offset)) continue;
    AddSymbol(info, {std::string(name), offset, symbol.st_size});
  }
}

bool HasAll(const Names& names, const ElfInfo& info) {
  Names missing = names;
  for (const ElfSymbol& symbol : info.symbols) missing.erase(symbol.name);
  return missing.empty();
}

}  // namespace

Failure ReadElf(const std::string& path, const Names& names, ElfInfo* info) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return OpenFailure(path, errno);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return OpenFailure(path, errno);
  if (!S_ISREG(status.st_mode)) return NotElf(path, "not a regular file");

  elf_version(EV_CURRENT);
  // Mapped: a binary of 300 MB costs only the pages of the tables we read.
  const ElfHandle elf(elf_begin(fd.get(), ELF_C_READ_MMAP, nullptr));
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF) return NotElf(path, "not an ELF file");
  GElf_Ehdr header;
  if (gelf_getehdr(elf.get(), &header) == nullptr) return NotElf(path, elf_errmsg(-1));

  const std::vector<GElf_Phdr> segments = ReadSegments(elf.get());
  info->build_id = ReadBuildId(elf.get(), segments);
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf.get(), scn)) != nullptr;) {
    GElf_Shdr section;
    if (gelf_getshdr(scn, &section) == nullptr) continue;
    const bool symbols = section.sh_type == SHT_DYNSYM || section.sh_type == SHT_SYMTAB;
    if (!symbols && section.sh_type != SHT_DYNAMIC) continue;
    if (section.sh_type == SHT_SYMTAB && HasAll(names, *info)) continue;
    Elf_Data* data = elf_getdata(scn, nullptr);
    if (data == nullptr) continue;
    if (symbols) ReadSymbols(elf.get(), data, section, segments, names, info);
    else ReadDynamic(elf.get(), data, section, info);
  }
  return std::nullopt;
}

}  // namespace agentsight
