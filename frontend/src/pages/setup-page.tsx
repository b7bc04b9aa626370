import { useQuery } from '@tanstack/react-query'
import { Link, useLocation, useNavigate } from 'react-router'
import { ErrorPanel } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { SkeletonRows } from '@/components/ui/skeleton'
import { setupStateQuery } from '@/features/auth/api'
import { EntryCard } from '@/features/auth/entry-card'
import { SetupForm } from '@/features/auth/setup-form'
import { usePageTitle } from '@/hooks/use-page-title'
import { startSession } from '@/lib/session'

export function SetupPage() {
  usePageTitle('Set up')
  const navigate = useNavigate()
  const { hash } = useLocation()
  const setup = useQuery(setupStateQuery)
  const token = new URLSearchParams(hash.slice(1)).get('token')

  if (setup.isPending) {
    return (
      <EntryCard title="Set up">
        <SkeletonRows rows={3} label="Loading" />
      </EntryCard>
    )
  }
  if (setup.error) {
    return (
      <EntryCard title="Set up">
        <ErrorPanel error={setup.error} what="The setup" onRetry={() => void setup.refetch()} />
      </EntryCard>
    )
  }
  if (!setup.data.needed) {
    return (
      <EntryCard
        title="Already set up"
        intro="The first account exists; the link has done its work."
      >
        <Button variant="primary" asChild>
          <Link to="/login">Sign in</Link>
        </Button>
      </EntryCard>
    )
  }
  if (!token) {
    return (
      <EntryCard
        title="Open the one-time link"
        intro="The first account is made with the link that was printed where the server was started. It ends in #setup= and a code."
      >
        <Button asChild>
          <Link to="/login">Sign in instead</Link>
        </Button>
      </EntryCard>
    )
  }
  return (
    <EntryCard title="Create the first account" intro="It will be the administrator's.">
      <SetupForm
        token={token}
        onCreated={(answer) => {
          startSession(answer)
          void navigate('/', { replace: true })
        }}
      />
    </EntryCard>
  )
}
