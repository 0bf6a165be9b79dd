//! The owner, group and permissions of a waveform, copied to the file that takes its place.

use std::fs::File;
use std::io;

/// Copies them as far as this user may. An error means that something is missing; nobody gets more rights in that case.
#[cfg(unix)]
pub(super) fn copy(from: &File, to: &File) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let from_is = from.metadata()?;
    let group = fchown(to, None, Some(from_is.gid()));
    let owner = fchown(to, Some(from_is.uid()), None);
    // Another group must not get the rights of this one.
    #[cfg(target_os = "linux")]
    let acl = if group.is_ok() { access_list(from) } else { Ok(None) };
    #[cfg(not(target_os = "linux"))]
    let acl: io::Result<Option<Vec<u8>>> = Ok(None);
    let is_group_known = group.is_ok() && matches!(acl, Ok(None));
    let of_group = if is_group_known { 0o070 } else { 0 };
    #[cfg(target_os = "linux")]
    remove_access_list(to)?;
    to.set_permissions(Permissions::from_mode(from_is.mode() & (0o7707 | of_group)))?;
    #[cfg(target_os = "linux")]
    if let Some(acl) = acl? {
        // In a file with a list, the group bits of the mode are the mask of the list. The list itself brings them.
        set_access_list(to, &acl)?;
    }
    owner.and(group)
}

/// A new file takes its permissions from its directory.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn copy(_: &File, _: &File) -> io::Result<()> {
    Ok(())
}

/// The extended attribute with the access control list (acl(5)).
#[cfg(target_os = "linux")]
const ACCESS_LIST: &str = "system.posix_acl_access";

#[cfg(target_os = "linux")]
fn access_list(file: &File) -> io::Result<Option<Vec<u8>>> {
    use rustix::io::Errno;
    // The largest size of an attribute.
    let mut list = vec![0; 1 << 16];
    match rustix::fs::fgetxattr(file, ACCESS_LIST, &mut list) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn set_access_list(file: &File, list: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(file, ACCESS_LIST, list, rustix::fs::XattrFlags::empty())?)
}

/// A new file may have a list from its directory. It would change the meaning of the mode's bits.
#[cfg(target_os = "linux")]
fn remove_access_list(file: &File) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fremovexattr(file, ACCESS_LIST) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// `user::rw-`, `user:12:rw-`, `group::GROUP`, `mask::rw-`, `other::---`: version 2, then tag, rights, id of each.
    fn list(group: u16) -> Vec<u8> {
        let entries = [(0x01, 6, u32::MAX), (0x02, 6, 12), (0x04, group, u32::MAX), (0x10, 6, u32::MAX), (0x20, 0, !0)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            list.extend([tag, rights].into_iter().flat_map(u16::to_le_bytes));
            list.extend(id.to_le_bytes());
        }
        list
    }

    #[test]
    fn the_mask_of_a_list_does_not_become_the_rights_of_the_group() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        if let Err(error) = set_access_list(&from, &list(0)) {
            println!("skipped: temporary files have no access control lists here ({error})");
            return;
        }
        assert_eq!(from.metadata().unwrap().permissions().mode() & 0o777, 0o660, "the mask");
        copy(&from, &to).unwrap();
        assert_eq!(access_list(&to).unwrap(), Some(list(0)));
    }

    #[test]
    fn a_list_that_a_new_file_has_from_its_directory_goes() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
        if set_access_list(&to, &list(6)).is_ok() {
            copy(&from, &to).unwrap();
            assert_eq!(access_list(&to).unwrap(), None);
            assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        }
    }
}
