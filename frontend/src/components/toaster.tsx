import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { dismissToast, useToasts } from '@/store/toasts'

export function Toaster() {
  const toasts = useToasts((state) => state.toasts)
  return (
    <div
      role="status"
      className="fixed right-4 bottom-4 z-50 flex flex-col gap-2 max-tablet:inset-x-3 max-tablet:bottom-20"
    >
      {toasts.map(({ id, tone, text, links }) => (
        <div
          key={id}
          className="flex max-w-[420px] items-start gap-2.5 rounded-lg border border-border bg-card py-2.5 pr-2 pl-3.5 shadow-pop"
        >
          <Icon
            name={tone === 'success' ? 'tick' : 'cross'}
            className={
              tone === 'success' ? 'mt-0.5 text-state-success' : 'mt-0.5 text-state-failed'
            }
          />
          <span className="wrap-text flex-1">
            {text}
            {links.map(({ label, to }) => (
              <Link key={to} to={to} className="block text-link hover:underline">
                {label}
              </Link>
            ))}
          </span>
          <button
            type="button"
            aria-label="Dismiss"
            onClick={() => dismissToast(id)}
            className="rounded-sm p-1 text-muted-foreground hover:bg-muted"
          >
            <Icon name="close" className="size-3.5" />
          </button>
        </div>
      ))}
    </div>
  )
}
