//! Users and groups of the machine, by their names.

use nix::unistd::{Gid, Group as SystemGroup, User, getgrouplist};

/// A user to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name that the system knows it by.
    pub name: String,
    /// The number of the user.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// The numbers of all its groups.
    pub groups: Vec<u32>,
}

/// A group to give a file to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name that the system knows it by.
    pub name: String,
    /// The number of the group.
    pub gid: u32,
}

/// Why there is no such user or group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Nobody has that name.
    #[error("there is no such {0} on this machine; create it, or leave it out")]
    Unknown(&'static str),
    /// The one that everything is given up for cannot be who has everything.
    #[error("that is the superuser; leave it out, or create a user for hikyaku")]
    Superuser,
    /// The system could not say.
    #[error("the system cannot say who that is: {0}")]
    System(String),
}

fn system(error: nix::Error) -> AccountError {
    AccountError::System(error.to_string())
}

impl Account {
    /// The user of that name, who is not the superuser.
    pub fn named(name: &str) -> Result<Self, AccountError> {
        let user = User::from_name(name).map_err(system)?.ok_or(AccountError::Unknown("user"))?;
        if user.uid.is_root() {
            return Err(AccountError::Superuser);
        }
        let c_name = std::ffi::CString::new(name).map_err(|_| AccountError::Unknown("user"))?;
        let groups = getgrouplist(&c_name, user.gid).map_err(system)?;
        Ok(Self {
            name: name.into(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        })
    }
}

impl Group {
    /// The group of that name.
    pub fn named(name: &str) -> Result<Self, AccountError> {
        let group = SystemGroup::from_name(name).map_err(system)?.ok_or(AccountError::Unknown("group"))?;
        Ok(Self { name: name.into(), gid: group.gid.as_raw() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups() {
        assert_eq!(Account::named("root"), Err(AccountError::Superuser));
        assert_eq!(Account::named("no such user"), Err(AccountError::Unknown("user")));
        let nobody = Account::named("nobody").unwrap();
        assert!(nobody.uid != 0 && nobody.groups.contains(&nobody.gid));
        assert_eq!(Group::named("no such group"), Err(AccountError::Unknown("group")));
        assert_eq!(Group::named("daemon"), Ok(Group { name: "daemon".into(), gid: 1 }));
    }
}
