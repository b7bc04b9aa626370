import { useLocation } from 'react-router'
import { NotFound } from '@/components/not-found'

export function NotFoundPage() {
  const { pathname } = useLocation()
  return (
    <NotFound
      title="There is no such page"
      detail={`Nothing answers to ${pathname}.`}
      ways={[
        { to: '/', label: 'Dashboard' },
        { to: '/pipelines', label: 'Pipelines' },
      ]}
    />
  )
}
