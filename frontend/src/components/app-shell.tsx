import { type ReactNode, useEffect } from 'react'
import { Navigate, NavLink, Outlet, ScrollRestoration, useLocation } from 'react-router'
import { AccountMenu } from '@/components/account-menu'
import { Icon, type IconName } from '@/components/icon'
import { Logo } from '@/components/logo'
import { OfflineBanner } from '@/components/offline-banner'
import { Toaster } from '@/components/toaster'
import { cn } from '@/lib/cn'
import { live } from '@/lib/live'
import { signInPath } from '@/lib/session'
import { useSession } from '@/store/session'

type Destination = { to: string; label: string; shortLabel: string; icon: IconName }

const DESTINATIONS: Destination[] = [
  { to: '/', label: 'Dashboard', shortLabel: 'Home', icon: 'dashboard' },
  { to: '/pipelines', label: 'Pipelines', shortLabel: 'Pipelines', icon: 'pipelines' },
  { to: '/executions', label: 'Executions', shortLabel: 'Runs', icon: 'executions' },
  { to: '/approvals', label: 'Approvals', shortLabel: 'Approvals', icon: 'hand' },
  { to: '/insights', label: 'Insights', shortLabel: 'Insights', icon: 'spark' },
]
const SETTINGS: Destination = {
  to: '/settings',
  label: 'Settings',
  shortLabel: 'Settings',
  icon: 'settings',
}

/** How much of something there is behind a destination, and what that means. */
export type Count = { text: string; meaning: string }

type AppShellProps = {
  /** By the destination's path. */
  counts?: Record<string, Count>
  /** Above every page. */
  banner?: ReactNode
}

const NO_COUNTS: Record<string, Count> = {}

/** Around every page of somebody signed in: the navigation, and the one socket. */
export function AppShell({ counts = NO_COUNTS, banner }: AppShellProps) {
  const signedIn = useSession((session) => session.status === 'signed-in')
  const left = useSession((session) => session.status === 'anonymous' && session.onPurpose)
  const { pathname, search } = useLocation()

  useEffect(() => {
    if (!signedIn) return
    void live.start()
    return () => live.stop()
  }, [signedIn])

  if (!signedIn) return <Navigate to={left ? '/login' : signInPath(pathname + search)} replace />
  return (
    <div className="grid min-h-dvh grid-cols-[212px_minmax(0,1fr)] max-tablet:grid-cols-[minmax(0,1fr)]">
      <a
        href="#content"
        className="fixed top-2 left-2 z-50 -translate-y-16 rounded-md bg-foreground px-3 py-2 text-card focus:translate-y-0"
      >
        Skip to content
      </a>
      <Sidebar counts={counts} />
      <div className="min-w-0">
        <OfflineBanner />
        {banner}
        <Outlet />
      </div>
      <TabBar counts={counts} />
      <Toaster />
      <ScrollRestoration />
    </div>
  )
}

type Counted = { counts: Record<string, Count> }

function Sidebar({ counts }: Counted) {
  return (
    <aside className="sticky top-0 flex h-dvh flex-col border-r border-border bg-card px-2.5 py-3.5 max-tablet:hidden">
      <div className="flex items-center gap-[9px] px-2 pt-0.5 pb-3.5 text-[15px] font-semibold tracking-[-0.01em]">
        <Logo className="size-6" />
        FlexiRoaster
      </div>
      <nav aria-label="Main" className="flex flex-1 flex-col gap-px">
        {DESTINATIONS.map((destination) => (
          <SidebarLink
            key={destination.to}
            destination={destination}
            count={counts[destination.to]}
          />
        ))}
        <div className="mt-auto">
          <SidebarLink destination={SETTINGS} count={undefined} />
        </div>
      </nav>
      <AccountMenu layout="sidebar" />
    </aside>
  )
}

type SidebarLinkProps = { destination: Destination; count: Count | undefined }

function SidebarLink({ destination: { to, label, icon }, count }: SidebarLinkProps) {
  return (
    <NavLink
      to={to}
      end={to === '/'}
      className={({ isActive }) =>
        cn(
          'flex items-center gap-2.5 rounded-[7px] border px-2 py-1.5 font-medium',
          isActive
            ? 'border-border bg-background font-semibold text-foreground'
            : 'border-transparent text-secondary-foreground hover:bg-muted',
        )
      }
    >
      <Icon name={icon} />
      {`${label} `}
      {count && (
        <span className="ml-auto rounded-full bg-state-retrying-tint px-1.5 text-[11px] font-semibold text-state-retrying">
          {count.text}
          <span className="sr-only"> {count.meaning}</span>
        </span>
      )}
    </NavLink>
  )
}

const TAB_CLASSES =
  'flex min-w-14 flex-col items-center gap-[3px] rounded-sm px-1 py-1 text-[11px] text-secondary-foreground aria-[current=page]:font-semibold aria-[current=page]:text-foreground'

function TabBar({ counts }: Counted) {
  return (
    <nav
      aria-label="Tab bar"
      className="fixed inset-x-0 bottom-0 z-30 hidden justify-around border-t border-border bg-card px-1 pt-1 pb-[max(8px,env(safe-area-inset-bottom))] max-tablet:flex"
    >
      {DESTINATIONS.map(({ to, shortLabel, icon }) => (
        <NavLink key={to} to={to} end={to === '/'} className={TAB_CLASSES}>
          <span className="relative">
            <Icon name={icon} />
            {counts[to] && (
              <span className="absolute -top-1 left-2.5 rounded-full bg-state-retrying-tint px-1 text-[10px] leading-[14px] font-semibold text-state-retrying">
                {counts[to].text}
                <span className="sr-only"> {counts[to].meaning}</span>
              </span>
            )}
          </span>
          {shortLabel}
        </NavLink>
      ))}
      <AccountMenu layout="tab" className={TAB_CLASSES} />
    </nav>
  )
}
