import { useNavigate } from 'react-router'
import { Icon, type IconName } from '@/components/icon'
import {
  Menu,
  MenuContent,
  MenuItem,
  MenuLabel,
  MenuRadioGroup,
  MenuRadioItem,
  MenuSeparator,
  MenuTrigger,
} from '@/components/ui/menu'
import { api } from '@/lib/api'
import { signedOut, useSession } from '@/store/session'
import { chooseTheme, type ThemeChoice, useTheme } from '@/store/theme'

const THEMES: { value: ThemeChoice; label: string; icon: IconName }[] = [
  { value: 'system', label: 'Like the system', icon: 'system' },
  { value: 'light', label: 'Light', icon: 'sun' },
  { value: 'dark', label: 'Dark', icon: 'moon' },
]

/** Who is signed in, the theme, and the way out. */
export function AccountMenu({
  layout,
  className,
}: {
  layout: 'sidebar' | 'tab'
  className?: string
}) {
  const user = useSession((session) => (session.status === 'signed-in' ? session.user : null))
  const theme = useTheme(({ choice }) => choice)
  const navigate = useNavigate()
  if (!user) return null
  return (
    <Menu>
      {layout === 'sidebar' ? (
        <MenuTrigger className="flex w-full items-center gap-2.5 rounded-[7px] px-[9px] py-[7px] font-medium text-secondary-foreground hover:bg-muted">
          <Icon name="user" />
          <span className="truncate">{user.email}</span>
          <Icon name="down" className="ml-auto size-3.5 rotate-180" />
        </MenuTrigger>
      ) : (
        <MenuTrigger className={className}>
          <Icon name="user" />
          Account
        </MenuTrigger>
      )}
      <MenuContent align={layout === 'sidebar' ? 'start' : 'end'} side="top">
        <MenuLabel>
          {user.email}, {user.role}
        </MenuLabel>
        <MenuSeparator />
        {layout === 'tab' && (
          <>
            <MenuItem icon="settings" onSelect={() => void navigate('/settings')}>
              Settings
            </MenuItem>
            <MenuSeparator />
          </>
        )}
        <MenuLabel id="theme-label">Theme</MenuLabel>
        <MenuRadioGroup
          aria-labelledby="theme-label"
          value={theme}
          onValueChange={(value) => chooseTheme(value as ThemeChoice)}
        >
          {THEMES.map(({ value, label, icon }) => (
            <MenuRadioItem
              key={value}
              value={value}
              icon={icon}
              onSelect={(event) => event.preventDefault()}
            >
              {label}
            </MenuRadioItem>
          ))}
        </MenuRadioGroup>
        <MenuSeparator />
        <MenuItem icon="leave" onSelect={() => void signOut()}>
          Sign out
        </MenuItem>
      </MenuContent>
    </Menu>
  )
}

/** The cookie goes with the call; without an answer this browser still forgets the token. */
async function signOut(): Promise<void> {
  await api.POST('/api/auth/logout').catch(() => undefined)
  signedOut({ onPurpose: true })
}
